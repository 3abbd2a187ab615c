// The page's language: its words, numbers and dates. The English text is the key of the catalogue.
//
// The server chooses the language and writes it into the document: what the reader chose on this page, or what
// the browser asks for.

export const language = document.documentElement.lang;
/** Digits stay those of the reports, which name regions and scores by them. */
const locale = `${language}-u-nu-latn`;
const plurals = new Intl.PluralRules(language);
const catalogue = await load();

async function load() {
  if (language === "en") return {};
  try {
    const answer = await fetch(`page/${language}.json`);
    return answer.ok ? await answer.json() : {};
  } catch {
    // English words are better than no page.
    return {};
  }
}

/** Return a text in the page's language; `{name}` in it stands for a value. */
export function t(english, values = {}) {
  return filled(catalogue[english] ?? english, values);
}

/** Return a text about a number of things; `{count}` stands for the number. */
export function tn(count, one, many, values = {}) {
  const known = catalogue[many] ?? { one, other: many };
  const text = typeof known === "string" ? known : (known[plurals.select(count)] ?? known.other);
  return filled(text, { ...values, count });
}

/** Return a text whose values are elements, as a list of what to append. */
export function parts(english, values) {
  return (catalogue[english] ?? english)
    .split(/(\{\w+\})/)
    .filter(Boolean)
    .map((part) => values[part.slice(1, -1)] ?? part);
}

/** Return a name as it stands within a sentence. German writes nouns with a capital everywhere. */
export function inSentence(name) {
  return language === "de" ? name : name.toLocaleLowerCase(language);
}

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => {
    const value = values[name] ?? whole;
    return typeof value === "number" ? decimal(value) : value;
  });
}

/** Return a number in the page's language. */
export function decimal(value, digits = 0) {
  return value.toLocaleString(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Return a number with as many significant digits. */
export function significant(value, digits) {
  return value.toLocaleString(locale, { maximumSignificantDigits: digits });
}

// The reader's own variant of the page's language: en-GB and en-US write dates differently.
const variant = navigator.languages.find((each) => each.split("-")[0] === language) ?? language;
const MOMENT = new Intl.DateTimeFormat(`${variant}-u-nu-latn`, { dateStyle: "medium", timeStyle: "short" });

/** Return a date and its time. */
export function dateAndTime(date) {
  return MOMENT.format(date);
}

const YEAR_SECONDS = 31_536_000;

/** Speak another language from now on: the server reads the choice when it sends the page. */
export function choose(code) {
  document.cookie = `tamperscope_language=${code}; path=${location.pathname}; max-age=${YEAR_SECONDS}; SameSite=Strict`;
  location.reload();
}
