// SQL as PostgreSQL's lexer cuts it (manual, section 4.1), for colours only. Every character of the text is in exactly
// one token: joined again they are the text.

const KEYWORDS = new Set(`all alter analyze and any array as asc begin between both by call case cast check collate column
  commit conflict constraint copy create cross current current_date current_time current_timestamp current_user cursor
  database deallocate declare default delete desc distinct do drop else end escape except exclude execute exists explain
  false fetch filter first following for force foreign from full function grant group grouping having if ilike immutable in
  index inner insert intersect into is isnull join key language last lateral leading left like limit listen local lock
  materialized merge natural not notify notnull null nulls of offset on only or order outer over partition preceding prepare
  primary procedure range recursive references reindex release rename reset restrict returning revoke right rollback row
  rows savepoint schema security select sequence session session_user set sets share show similar some start symmetric
  table tablesample temp temporary then to trailing transaction trigger true truncate unbounded union unique unlogged
  update using vacuum values view when where window with within without`.split(/\s+/));

const RULES = [
  ['space', /\s+/y],
  ['comment', /--[^\n]*/y],
  ['string', /(?:[eE]'(?:\\[\s\S]|''|[^'\\])*'?)|(?:(?:[bBxXnN]|[uU]&)?'(?:''|[^'])*'?)/y],
  ['name', /(?:[uU]&)?"(?:""|[^"])*"?/y],
  ['parameter', /\$\d+/y],
  ['number', /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y],
  ['word', /[\p{L}_][\p{L}\p{N}_$]*/uy],
];

/** The end of a block comment that begins at `at`; they nest. */
function commentEnd(text, at) {
  let depth = 0;
  for (let i = at; i < text.length; ++i) {
    if (text.startsWith('/*', i)) { depth++; i++; }
    else if (text.startsWith('*/', i)) { i++; if (--depth === 0) return i + 1; }
  }
  return text.length;
}

function next(text, at) {
  if (text.startsWith('/*', at)) return ['comment', commentEnd(text, at)];
  const dollar = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;
  dollar.lastIndex = at;
  const tag = dollar.exec(text);
  if (tag) {
    const end = text.indexOf(tag[0], at + tag[0].length);
    return ['string', end < 0 ? text.length : end + tag[0].length];
  }
  for (const [kind, rule] of RULES) {
    rule.lastIndex = at;
    if (rule.test(text) && rule.lastIndex > at) return [kind, rule.lastIndex];
  }
  return ['other', at + (text.codePointAt(at) > 0xffff ? 2 : 1)];
}

/** [[kind, text], …]; kinds: space, comment, string, name, parameter, number, keyword, word, other. */
export function tokens(text) {
  const found = [];
  for (let at = 0; at < text.length;) {
    let [kind, end] = next(text, at);
    const part = text.slice(at, end);
    if (kind === 'word' && KEYWORDS.has(part.toLowerCase())) kind = 'keyword';
    found.push([kind, part]);
    at = end;
  }
  return found;
}

export const COLOURS = {keyword: 'k', string: 's', number: 'n', parameter: 'n', comment: 'c'};
