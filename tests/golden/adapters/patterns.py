"""What Python's re says of expressions such as adapters hold: those in use, those that are easily read
otherwise, and seeded random ones. Python 3.11: python patterns.py > patterns.json"""
import json, random, re
r = random.Random(7)
names = ['model.layers.0.self_attn.q_proj', 'model.layers.1.self_attn.q_proj', 'model.layers.11.mlp.down_proj', 'transformer.h.3.attn.c_attn',
         'transformer.h.10.mlp.c_proj', 'lm_head', 'model.embed_tokens', 'model.layers.0.mlp.experts.7.w1', 'vision_tower.layers.0.q_proj', 'xq_proj', 'a-b', '']
hand = ['q_proj', 'layers\\.1\\.self_attn\\.q_proj', 'layers.1.self_attn.q_proj', 'o_proj|q_proj', '.*', '', 'down_proj', r'layers\.\d+\.mlp\.down_proj', r'.*\.(q|v)_proj',
        r'^(?!.*vision).*q_proj$', r'(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|v_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:(?:q_proj|down_proj)))',
        r'model\.layers\.([0-9]|1[01])\..*', r'.*layers\.(?P<idx>\d+)\.(self_attn|mlp)\..*_proj', r'[^.]+', r'[^.]+\.[^.]+', r'.*[.]q_proj', r'.*\bh\b.*', r'.*\Bh\b.*', r'a{2', r'a{}', r'{', r'x{,1}q_proj',
        r'x?q_proj', r'(a|b|-)+', r'[]a-]+', r'[a\-b]+', r'[\w.]+', r'[\w.-]+', r'[^\W.]+(\.\w+)*', r'(?=.*attn)(?=.*q_).*', r'(?=transformer)\w+\..+', r'.+?q.+?', r'\Amodel\..*\Z', r'model.*$',
        r'(.*)(.*)(.*)(.*)(.*)q_proj', r'((a*)*)*-b', r'(\w+\.?)+', r'(?:)', r'()', r'(|lm_head)', r'lm_head|', r'.{5}', r'.{5,}', r'.{0,7}', r'(.\.)?.*', r'[a-z_]+', r'[A-Z]*', r'\w{2}_\w{4}', r'a)(b', r'q_proj)|(lm_head', r'\S+', r'\D+', r'.*\D\.q_proj',
        r'x|*', r'*a', r'a**', r'(', r')', r'[', r'[z-a]', r'\q', r'a{3,2}', r'^*', r'(?P<a', r'\\', '\\']
atoms = ['q', 'proj', '_', r'\.', '.', r'\d', r'\w', '[a-z]', '[^.]', 'layers', 'attn', 'mlp', 'q_proj', '1', 'model', r'\b', 'self_attn', '[01]', r'[^\d]']
def gen(d):
    k = r.random()
    if d == 0 or k < .35: return r.choice(atoms)
    if k < .6: return ''.join(gen(d - 1) for _ in range(r.randint(1, 4)))
    if k < .75: return '(' + r.choice(['', '?:', '?:']) + '|'.join(gen(d - 1) for _ in range(r.randint(1, 3))) + ')'
    if k < .8: return r.choice(['(?=', '(?!']) + gen(d - 1) + ')'
    return '(?:' + gen(d - 1) + ')' + r.choice(['*', '+', '?', '*?', '+?', '{1,2}', '{2}', '{1,}', '{,3}'])
rnd = [r.choice(['', '.*', r'.*\.', '.+']) + gen(3) + r.choice(['', '.*', '$', r'\..*']) for _ in range(260)]
out = []
for p in hand + rnd:
    try:
        whole = ''.join('1' if re.fullmatch(p, n) else '0' for n in names)
    except re.error: whole = None
    try:
        end = ''.join('1' if re.match(rf'(.*\.)?({p})$', n) else '0' for n in names)
    except re.error: end = None
    out.append([p, whole, end])
print('{"names": ' + json.dumps(names) + ',\n "fullmatch_and_ending": [\n' + ',\n'.join(json.dumps(o) for o in out) + '\n]}')
