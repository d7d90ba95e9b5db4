/**
 * Text for a terminal: how wide it stands, and what must not get there.
 *
 * File names, tensor names, tokens and prompts are other people's; any of them may hold the escape
 * sequences that move a cursor or rename a window, or marks that turn the reading direction.
 */

// A sequence that moves or colours; a string such as a window's title, to its end; any other.
const escapeSequence = new RegExp(
  [
    String.raw`(?:\u{1b}\[|\u{9b})[0-?]*[ -\/]*[@-~]`,
    String.raw`\u{1b}[\]PX^_][^\u{7}\u{1b}\u{9c}]*(?:\u{7}|\u{1b}\\|\u{9c})?`,
    String.raw`\u{1b}.`,
  ].join('|'),
  'gu',
);
const control = /(?![\n\t])[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** Without escape sequences, control characters and reading-direction marks; keeps `\n` and `\t`. */
export function plainText(text: string): string {
  return text.replaceAll('\r\n', '\n').replaceAll(escapeSequence, '').replaceAll(control, '');
}

/** As `plainText`, and on one line. */
export function plainLine(text: string): string {
  return plainText(text.replaceAll(/[\r\n\t\u2028\u2029]+/g, ' '));
}

// Blocks that Unicode's East Asian Width table has as wide or full width.
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const invisible = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;

/** Columns that `text` takes in a terminal: ideographs and emoji two, combining marks none. */
export function widthOf(text: string): number {
  if (/^[ -~]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of clusters(text)) width += widthOfCluster(segment);
  return width;
}

let segmenter: Intl.Segmenter | undefined;

/** What a reader takes for single characters. */
function clusters(text: string): Iterable<Intl.SegmentData> {
  // Made at first need: it costs ten milliseconds, which `--help` has better use for.
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return segmenter.segment(text);
}

function widthOfCluster(cluster: string): number {
  if (invisible.test(cluster)) return 0;
  return wide.test(cluster) || cluster.includes('\ufe0f') ? 2 : 1;
}

/** `text` shortened to `width` columns, the last of them an ellipsis where something was cut. */
export function shortened(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  let kept = '';
  let used = 0;
  for (const { segment } of clusters(text)) {
    const next = used + widthOfCluster(segment);
    if (next > width - 1) break;
    kept += segment;
    used = next;
  }
  return width > 0 ? `${kept}…` : '';
}
