// Search and recommendation by hand: every request is one that a shop's own page would make.

const TEXTS = {
  query: ["Words and tags in any language, such as: tv 4k under 2000", "任意语言的词和标签，如：连衣裙 显瘦 200元以下"],
  search: ["Search", "搜索"],
  customer: ["As customer", "以顾客身份"],
  nobody: ["nobody", "无"],
  key: ["The service's key", "服务密钥"],
  go: ["Go on", "继续"],
  sort: ["Sort by", "排序"],
  more: ["More", "更多"],
  narrow: ["Narrow down", "筛选"],
  remove: ["Remove", "移除"],
  other: ["Other", "其他"],
  all: ["All", "全部"],
  fewer: ["Fewer", "收起"],
  relevance: ["relevance", "相关度"],
  newest: ["newest", "最新"],
  popular: ["popular", "热门"],
  total: [n => `${n.toLocaleString("en")} ${n === 1 ? "product" : "products"}`, n => `${n.toLocaleString("en")} 件商品`],
  relaxed: ["No product has all of it; these have a part.", "没有商品符合全部条件，以下符合一部分。"],
  meant: ["Did you mean: ", "您是不是要找："],
  nothing: ["Nothing found.", "没有找到商品。"],
  silent: ["The service does not answer.", "服务没有响应。"],
  view: ["view", "浏览"],
  cart: ["cart", "加购"],
  purchase: ["buy", "购买"],
  like: ["like", "喜欢"],
  dislike: ["dislike", "不喜欢"],
  recommended: ["Recommendations", "推荐"],
  forCustomer: [user => `For ${user}`, user => `推荐给 ${user}`],
  forAll: ["What many like", "受欢迎的商品"],
  tagsOf: ["Its tags", "它的标签"],
  besides: ["Goes with it", "与它相配"],
  back: ["← Recommendations", "← 推荐"],
  empty: ["Nothing to recommend yet: no product has been tagged or viewed.", "还没有可推荐的：没有打过标签或被浏览的商品。"],
  least: ["from", "从"],
  most: ["to", "到"],
  ascending: [name => `${name} ↑`, name => `${name} ↑`],
  descending: [name => `${name} ↓`, name => `${name} ↓`],
};
// Numbers may have any name; these are said in both languages.
const NUMBERS = new Map([
  ["price", ["price", "价格"]],
  ["stock", ["stock", "库存"]],
  ["rating", ["rating", "评分"]],
]);
const KINDS = ["view", "cart", "purchase", "like", "dislike"];
const SHOWN_TAGS = 6;
const ONE_COLUMN = matchMedia("(max-width: 700px)");
const BELOW = matchMedia("(max-width: 1050px)"); // recommendations stand below the hits

const state = read(location.search); // what is asked for: all of it stands in the address
let found = { q: "", hits: [], facets: {}, numbers: {}, next: null }; // what is shown, and of which query
let product = null; // what the right column is about; null: the customer
let asked = 0, besides = 0, typed = 0; // requests so far: the answer to an older one is dropped
let paging = 0; // the search whose next page is on its way
let numbers = []; // names of numbers to sort by
const open = new Set(); // facets shown whole
const acted = new Set(); // what was done: customer, product, kind

const $ = id => document.getElementById(id);
const inLanguage = texts => texts[state.language === "zh" ? 1 : 0];
const numberName = name => inLanguage(NUMBERS.get(name) ?? [name, name]);

function text(key, ...values) {
  const said = inLanguage(TEXTS[key]);
  return typeof said === "function" ? said(...values) : said;
}

// An element; text goes in as text, so what products are called cannot be markup. By its key a
// control is found again after it was made anew.
function make(name, { key, ...properties } = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  if (key !== undefined) made.dataset.key = key;
  made.append(...children.filter(child => child !== null));
  return made;
}

function button(said, onclick, properties = {}) {
  return make("button", { type: "button", textContent: said, onclick, ...properties });
}

// Fills a place anew. The focus stays on the control that had it, or at least in its column.
function put(place, ...children) {
  const held = place.contains(document.activeElement) ? document.activeElement : null;
  place.replaceChildren(...children);
  if (!held) return;
  const same = [...place.querySelectorAll("[data-key]")].find(one => one.dataset.key === held.dataset.key);
  (same ?? place.closest("main, aside")).focus({ preventScroll: true });
}

// The state

function read(query) {
  const given = new URLSearchParams(query);
  return {
    q: given.get("q") ?? "",
    facets: given.getAll("facet"),
    ranges: given.getAll("range"),
    sort: given.get("sort") ?? "relevance",
    user: given.get("user") ?? "",
    language: (given.get("language") ?? navigator.language).startsWith("zh") ? "zh" : "en",
  };
}

function parameters(more = {}) {
  const made = new URLSearchParams();
  if (state.q) made.set("q", state.q);
  state.facets.forEach(one => made.append("facet", one));
  state.ranges.forEach(one => made.append("range", one));
  if (state.sort !== "relevance") made.set("sort", state.sort);
  made.set("language", state.language);
  Object.entries(more).forEach(([name, value]) => made.set(name, value));
  return made;
}

// What a person asks for becomes a step that the browser can go back from.
function change(changes) {
  Object.assign(state, changes);
  if (JSON.stringify(read(location.search)) === JSON.stringify(state)) return;
  const made = parameters(state.user ? { user: state.user } : {});
  history.pushState(null, "", `${location.pathname}?${made}`);
}

// A new query: what was chosen for the one before is chosen no more.
function ask(q) {
  closeCompletions();
  $("query").value = q;
  change({ q, facets: [], ranges: [] });
  search(q.trim() !== "");
  if (product) leaveProduct();
}

function choose(changes) {
  change(changes);
  search();
}

// Requests

async function request(path, query, options = {}) {
  const headers = { "Accept-Language": state.language, ...options.headers };
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(`v1/${path}${query ? `?${query}` : ""}`, { ...options, headers })
    .catch(() => { throw new Error(text("silent")); });
  const body = await answer.json().catch(() => null);
  $("unlock").hidden = answer.status !== 401;
  if (!answer.ok || body === null) throw new Error(body?.detail ?? `${answer.status} ${answer.statusText}`);
  return body;
}

// Does something, and says in a place what went wrong with it, if that matters still. Whether all
// went well.
async function trying(place, matters, work) {
  let problem = "";
  try {
    await work();
  } catch (error) {
    problem = error.message;
  }
  if (matters()) {
    place.textContent = problem;
    place.hidden = !problem;
  }
  return !problem;
}

// Only a query that a person sent is logged: it tells what people look for.
async function search(log = false) {
  const number = ++asked, q = state.q, matters = () => number === asked;
  $("more").hidden = $("more-problem").hidden = true;
  showChosen();
  showRanges();
  showSorts();
  const answered = await trying($("search-problem"), matters, async () => {
    const answer = await request("search", parameters({ limit: 20, log }));
    if (matters()) showFound({ ...answer, q });
  });
  if (answered || !matters()) return;
  found = { ...found, hits: [], next: null };
  for (const place of ["total", "hint", "hits"]) put($(place));
  $("hint").hidden = true;
}

async function more() {
  if (paging === asked) return;
  const number = paging = asked, matters = () => number === asked;
  $("more").ariaDisabled = "true";
  await trying($("more-problem"), matters, async () => {
    const answer = await request("search", parameters({ limit: 20, after: found.next, log: false }));
    if (!matters()) return;
    const first = found.hits.length;
    found = { ...found, hits: [...found.hits, ...answer.hits], next: answer.next };
    const had = document.activeElement === $("more");
    $("hits").append(...answer.hits.map(showHit));
    showMore();
    if (had && $("more").hidden) $("hits").children[first]?.querySelector("button").focus();
  });
  if (paging !== number) return;
  paging = 0;
  $("more").ariaDisabled = null;
}

// What was found

function showFound(answer) {
  found = answer;
  // The names of what is chosen, in the language that is shown now.
  state.facets = Object.entries(found.facets).flatMap(([facet, tags]) =>
    tags.filter(tag => tag.chosen).map(tag => `${facet}=${tag.name}`));
  $("total").textContent = text("total", found.total);
  showHint();
  showChosen();
  showRanges();
  showFacets();
  showSorts();
  showHits();
  showMore();
}

function showMore() {
  $("more").hidden = found.next === null;
}

function showHint() {
  const said = [];
  if (found.relaxed) said.push(text("relaxed"), " ");
  if (!found.hits.length) said.push(text("nothing"), " ");
  if (found.did_you_mean) {
    said.push(text("meant"), button(found.did_you_mean, () => ask(found.did_you_mean), { className: "link" }));
  }
  put($("hint"), ...said);
  $("hint").hidden = !said.length;
}

// What is chosen can be taken back, whatever is found or fails.
function showChosen() {
  const chips = [];
  for (const list of ["facets", "ranges"]) {
    for (const choice of state[list]) {
      const said = list === "facets" ? choice.slice(choice.indexOf("=") + 1)
        : `${numberName(rangeName(choice))} ${rangeSaid(...rangeEnds(choice))}`;
      const remove = () => choose({ [list]: state[list].filter(one => one !== choice) });
      chips.push(button(`${said} ×`, remove, { key: choice, title: text("remove") }));
    }
  }
  put($("chosen"), ...chips);
}

function showFacets() {
  put($("facets"), ...Object.entries(found.facets).map(([facet, tags]) => showFacet(facet, tags)));
}

function showFacet(facet, tags) {
  const shown = tags.filter((tag, place) => place < SHOWN_TAGS || tag.chosen || open.has(facet));
  const ticks = shown.map(tag => {
    const choice = `${facet}=${tag.name}`;
    const tick = make("input", { type: "checkbox", checked: state.facets.includes(choice), key: choice });
    tick.onchange = () => {
      const others = state.facets.filter(one => one !== choice);
      choose({ facets: tick.checked ? [...others, choice] : others });
    };
    return make("label", {}, tick, make("span", { textContent: tag.name }),
      make("small", { textContent: tag.count.toLocaleString("en") }));
  });
  const toggle = tags.length <= SHOWN_TAGS ? null : button(text(open.has(facet) ? "fewer" : "all"), () => {
    open.has(facet) ? open.delete(facet) : open.add(facet);
    showFacets();
  }, { key: `all of ${facet}` });
  return make("fieldset", {}, make("legend", { textContent: facet || text("other") }), ...ticks, toggle);
}

// A chosen range: NUMBER=LOW..HIGH, or NUMBER=VALUE.
const rangeName = range => range.slice(0, range.indexOf("="));

function rangeEnds(range) {
  const [low, high = low] = range.slice(range.indexOf("=") + 1).split("..");
  return [low, high];
}

function rangeSaid(low, high) {
  if (low && high) return low === high ? low : `${low}–${high}`;
  return low ? `≥ ${low}` : `≤ ${high}`;
}

// Ranges are kept and filled anew, but for the end that somebody is about to write.
function showRanges() {
  const place = $("ranges");
  const reaching = Object.entries(found.numbers).filter(([, reach]) => reach.least < reach.most);
  const names = new Set([...reaching.map(([name]) => name), ...state.ranges.map(rangeName)]);
  for (const box of [...place.children]) {
    if (!names.has(box.dataset.key) && !box.contains(document.activeElement)) box.remove();
  }
  for (const name of names) {
    const box = [...place.children].find(one => one.dataset.key === name) ?? place.appendChild(makeRange(name));
    const chosen = state.ranges.find(one => rangeName(one) === name);
    const reach = Object.hasOwn(found.numbers, name) ? found.numbers[name] : {};
    box.querySelectorAll("input").forEach((input, end) => {
      input.placeholder = [reach.least, reach.most][end] ?? "";
      const value = chosen ? rangeEnds(chosen)[end] : "";
      if (input !== document.activeElement) input.value = value && isFinite(value) ? Number(value) : "";
    });
  }
}

function makeRange(name) {
  const ends = ["least", "most"].map(end => make("input", {
    type: "number", step: "any", ariaLabel: `${numberName(name)} ${text(end)}`,
    onchange: () => {
      const [low, high] = ends.map(input => (input.value ? String(input.valueAsNumber) : ""));
      const others = state.ranges.filter(one => rangeName(one) !== name);
      choose({ ranges: low || high ? [...others, `${name}=${low}..${high}`] : others });
    },
  }));
  return make("fieldset", { key: name }, make("legend", { textContent: numberName(name) }),
    make("div", { className: "range" }, ends[0], "–", ends[1]));
}

function showSorts() {
  numbers = [...new Set([...numbers, ...Object.keys(found.numbers)])];
  const sorts = ["relevance", "newest", "popular"].map(key => [key, text(key)]);
  for (const name of numbers) {
    sorts.push([name, text("ascending", numberName(name))], [`-${name}`, text("descending", numberName(name))]);
  }
  if (!sorts.some(([key]) => key === state.sort)) sorts.push([state.sort, state.sort]);
  $("sort").replaceChildren(...sorts.map(([value, said]) => make("option", { value, textContent: said })));
  $("sort").value = state.sort;
}

function showHits() {
  put($("hits"), ...found.hits.map(showHit));
}

function showHit(hit) {
  const title = make("button", { type: "button", className: "title", key: hit.id }, ...highlighted(hit));
  title.onclick = () => showProduct(hit);
  const why = hit.why;
  const chips = make("ul", { className: "chips" },
    ...why.tags.map(one => showTag(one.tag, one.probability)),
    ...why.quantities.map(one => make("li", { className: "number", textContent: `${one.asked}: ${one.found}` })),
    ...why.words.map(one => make("li", { className: "word", textContent: `“${one.word}”`, title: one.fields.join(", ") })));
  return make("li", {}, title, make("span", { className: "soft", textContent: ` ${hit.id}` }),
    chips.childElementCount ? chips : null, state.user ? showActs(hit.id) : null);
}

function highlighted(hit) {
  // Spans count characters as Python does, whole ones: so does an array of them.
  const letters = [...hit.title], parts = [];
  let end = 0;
  for (const [from, to] of hit.highlights) {
    parts.push(letters.slice(end, from).join(""), make("mark", { textContent: letters.slice(from, to).join("") }));
    end = to;
  }
  return [...parts, letters.slice(end).join("")];
}

function showTag(tag, probability, affinity = 0) {
  const name = tag.slice(tag.indexOf(":") + 1);
  const said = affinity > 0 ? ` ♥ ${affinity.toFixed(2)}` : "";
  return make("li", { className: "tag", title: tag, textContent: `${name} ${probability.toFixed(2)}${said}` });
}

// What a customer does

function showActs(id) {
  const problem = make("p", { className: "problem", role: "alert", hidden: true });
  const acts = KINDS.map(kind => {
    const key = JSON.stringify([state.user, id, kind]);
    const act = button(text(kind), () => send(act, problem, id, kind), { key });
    act.classList.toggle("done", acted.has(key));
    return act;
  });
  return make("div", { className: "acts" }, ...acts, problem);
}

async function send(act, problem, id, kind) {
  if (act.ariaDisabled) return;
  act.ariaDisabled = "true";
  const event = { user: state.user, product: id, kind };
  if (found.q && found.hits.some(hit => hit.id === id)) event.query = found.q; // it was found by it
  const sent = await trying(problem, () => true, () => request("events", "", {
    method: "POST", body: JSON.stringify(event), headers: { "Content-Type": "application/json" },
  }));
  act.ariaDisabled = null;
  if (!sent) return;
  acted.add(act.dataset.key);
  document.querySelectorAll(".acts button").forEach(one => {
    one.classList.toggle("done", acted.has(one.dataset.key));
  });
  showBeside();
}

async function showProduct(one) {
  product = one;
  await showBeside();
  if (BELOW.matches) $("side").scrollIntoView();
}

function leaveProduct() {
  product = null;
  showBeside();
}

async function showBeside() {
  const number = ++besides, matters = () => number === besides;
  const about = product, user = state.user, language = state.language;
  const answered = await trying($("beside-problem"), matters, async () => {
    const whom = about ? { product: about.id } : { user };
    const [list, tags] = await Promise.all([
      request("recommend", new URLSearchParams({ ...whom, limit: 8, language })),
      about ? request("tags", new URLSearchParams({ product: about.id, user, language })) : [],
    ]);
    if (matters()) put($("beside"), ...showAbout(about, tags), ...showRecommended(list));
  });
  if (!answered && matters()) put($("beside"), ...showAbout(about, []));
}

function showAbout(about, tags) {
  if (!about) {
    return [make("h2", { textContent: state.user ? text("forCustomer", state.user) : text("forAll") })];
  }
  return [
    button(text("back"), leaveProduct, { className: "link", key: "back" }),
    make("h3", { textContent: about.title }), make("h2", { textContent: text("tagsOf") }),
    make("ul", { className: "chips" }, ...tags.map(one => showTag(one.tag, one.probability, one.affinity))),
    state.user ? showActs(about.id) : "", make("h2", { textContent: text("besides") }),
  ];
}

function showRecommended(list) {
  if (!list.length) return [make("p", { className: "soft", textContent: text("empty") })];
  return [make("ol", {}, ...list.map(one => make("li", {},
    button(one.title, () => showProduct(one), { className: "title", key: one.id }),
    make("div", { className: "soft", textContent: one.why.text }))))];
}

// Completion: a list below the query, by arrows or by hand.

let current = -1; // the place of the completion that Enter takes

async function complete() {
  const number = ++typed, q = $("query").value;
  const list = q.trim()
    ? await request("complete", new URLSearchParams({ q, language: state.language })).catch(() => []) : [];
  if (number !== typed || document.activeElement !== $("query")) return;
  $("completions").replaceChildren(...list.map((one, place) => make("li", {
    role: "option", id: `completion-${place}`, key: one.text,
    onmousedown: event => event.preventDefault(), // the query keeps the focus
    onclick: () => ask(one.text),
  }, make("span", { textContent: one.text }),
  make("small", { textContent: `${one.facet ?? ""} ${one.products.toLocaleString("en")}` }))));
  $("completions").hidden = !list.length;
  $("query").ariaExpanded = String(list.length > 0);
  point(-1);
}

function point(place) {
  current = place;
  [...$("completions").children].forEach((item, i) => { item.ariaSelected = String(i === place); });
  if (place < 0) $("query").removeAttribute("aria-activedescendant");
  else $("query").setAttribute("aria-activedescendant", `completion-${place}`);
}

function closeCompletions() {
  typed++;
  $("completions").hidden = true;
  $("query").ariaExpanded = "false";
  point(-1);
}

$("query").oninput = event => { if (!event.isComposing) complete(); };
$("query").addEventListener("compositionend", complete); // it has no property
$("query").onblur = closeCompletions;
$("query").onkeydown = event => {
  // Keys belong to an input method while it composes (229: so Safari says it of the last one).
  if ($("completions").hidden || event.isComposing || event.keyCode === 229) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.key === "Escape") closeCompletions();
  else if (step) {
    const places = $("completions").children.length + 1; // the last: what was written
    const place = (current + step + places) % places;
    point(place === places - 1 ? -1 : place);
  } else return;
  event.preventDefault(); // Escape would empty the query
};
$("ask").onsubmit = event => {
  event.preventDefault();
  ask($("completions").children[current]?.dataset.key ?? $("query").value);
};

// The rest of the page

$("sort").onchange = () => choose({ sort: $("sort").value });
$("more").onclick = more;
$("user").onchange = () => {
  change({ user: $("user").value.trim() });
  showHits();
  showBeside();
};
$("unlock").onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value);
  show();
};
$("language").onclick = () => {
  change({ language: state.language === "zh" ? "en" : "zh" });
  show();
};
window.onpopstate = () => {
  Object.assign(state, read(location.search));
  show();
};
// Where there is room for them, choices are never folded.
const unfold = () => { $("choices").open = !ONE_COLUMN.matches; };
ONE_COLUMN.onchange = unfold;

function show() {
  document.documentElement.lang = state.language;
  $("language").textContent = state.language === "zh" ? "English" : "中文";
  $("language").lang = state.language === "zh" ? "en" : "zh";
  document.querySelectorAll("[data-text]").forEach(one => { one.textContent = text(one.dataset.text); });
  document.querySelectorAll("[data-placeholder]").forEach(one => { one.placeholder = text(one.dataset.placeholder); });
  document.querySelectorAll("[data-label]").forEach(one => { one.ariaLabel = text(one.dataset.label); });
  $("query").value = state.q;
  $("user").value = state.user;
  $("ranges").replaceChildren();
  search();
  showBeside();
}

unfold();
show();
