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
  facets: ["Facets", "维度"],
  all: ["All", "全部"],
  fewer: ["Fewer", "收起"],
  relevance: ["relevance", "相关度"],
  newest: ["newest", "最新"],
  popular: ["popular", "热门"],
  total: [n => `${n.toLocaleString("en")} ${n === 1 ? "product" : "products"}`, n => `${n.toLocaleString("en")} 件商品`],
  relaxed: ["No product has all of it; these have a part.", "没有商品符合全部条件，以下符合一部分。"],
  meant: ["Did you mean: ", "您是不是要找："],
  nothing: ["Nothing found.", "没有找到商品。"],
  view: ["view", "浏览"],
  cart: ["cart", "加购"],
  purchase: ["buy", "购买"],
  like: ["like", "喜欢"],
  dislike: ["dislike", "不喜欢"],
  forCustomer: [user => `For ${user}`, user => `推荐给 ${user}`],
  forAll: ["What many like", "受欢迎的商品"],
  tagsOf: ["Its tags", "它的标签"],
  besides: ["Goes with it", "与它相配"],
  back: ["← Recommendations", "← 推荐"],
  empty: ["Nothing to recommend yet: no product has been tagged or viewed.", "还没有可推荐的：没有打过标签或被浏览的商品。"],
  least: ["from", "从"],
  most: ["to", "到"],
  price: ["price", "价格"],
  stock: ["stock", "库存"],
  rating: ["rating", "评分"],
  ascending: [name => `${name} ↑`, name => `${name} ↑`],
  descending: [name => `${name} ↓`, name => `${name} ↓`],
};
const KINDS = ["view", "cart", "purchase", "like", "dislike"];
const SHOWN_TAGS = 6;

const state = read(location.search);
const open = new Set(); // facets shown whole
let product = null; // what the right column is about; null: the customer
let asked = 0; // searches so far: the answer to an older one is dropped
let next = null;
let numbers = []; // names of numbers to sort by

const $ = id => document.getElementById(id);
const text = (key, ...values) => {
  const said = (TEXTS[key] ?? [key, key])[state.language === "zh" ? 1 : 0];
  return typeof said === "function" ? said(...values) : said;
};

// An element; text goes in as text, so what products are called cannot be markup.
function make(name, options = {}, ...children) {
  const made = Object.assign(document.createElement(name), options);
  made.append(...children.filter(child => child !== null));
  return made;
}

function read(query) {
  const given = new URLSearchParams(query);
  return {
    q: given.get("q") ?? "",
    facets: given.getAll("facet"),
    ranges: given.getAll("range"),
    sort: given.get("sort") ?? "relevance",
    user: given.get("user") ?? "",
    language: given.get("language") ?? (navigator.language.startsWith("zh") ? "zh" : "en"),
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

function remember() {
  const made = parameters();
  if (state.user) made.set("user", state.user);
  const there = `${location.pathname}?${made}`;
  if (there !== location.pathname + location.search) history.pushState(null, "", there);
}

async function request(path, query, options = {}) {
  const headers = { "Accept-Language": state.language, ...options.headers };
  const key = sessionStorage.getItem("key");
  if (key) headers.Authorization = `Bearer ${key}`;
  const answer = await fetch(`v1/${path}${query ? `?${query}` : ""}`, { ...options, headers });
  const body = await answer.json().catch(() => ({ detail: answer.statusText }));
  $("unlock").hidden = answer.status !== 401;
  if (!answer.ok) throw new Error(body.detail ?? answer.statusText);
  return body;
}

// Does something, and shows what went wrong with it, if anything did.
async function trying(work) {
  try {
    await work();
    $("problem").hidden = true;
  } catch (error) {
    $("problem").textContent = error.message;
    $("problem").hidden = false;
  }
}

const search = () => trying(async () => {
  const number = ++asked;
  remember();
  const found = await request("search", parameters({ limit: 20 }));
  if (number !== asked) return;
  $("total").textContent = text("total", found.total);
  showHint(found);
  showChoices(found);
  showSorts(found);
  $("hits").replaceChildren(...found.hits.map(showHit));
  showMore(found);
});

const more = () => trying(async () => {
  const number = asked;
  const found = await request("search", parameters({ limit: 20, after: next }));
  if (number !== asked) return;
  $("hits").append(...found.hits.map(showHit));
  showMore(found);
});

function showMore(found) {
  next = found.next;
  $("more").hidden = next === null;
}

function showHint(found) {
  const said = [];
  if (found.relaxed) said.push(text("relaxed"), " ");
  if (!found.hits.length) said.push(text("nothing"), " ");
  if (found.did_you_mean) {
    const link = make("button", { type: "button", className: "link", textContent: found.did_you_mean });
    link.onclick = () => ask(found.did_you_mean);
    said.push(text("meant"), link);
  }
  $("hint").replaceChildren(...said);
  $("hint").hidden = !said.length;
}

function showChoices(found) {
  // The names of what is chosen, in the language that is shown now.
  state.facets = Object.entries(found.facets).flatMap(([facet, tags]) =>
    tags.filter(tag => tag.chosen).map(tag => `${facet}=${tag.name}`));
  $("choices").replaceChildren(
    ...Object.entries(found.numbers)
      .filter(([name, reach]) => reach.least < reach.most || state.ranges.some(one => one.startsWith(`${name}=`)))
      .map(([name, reach]) => showRange(name, reach)),
    ...Object.entries(found.facets).map(([facet, tags]) => showFacet(facet, tags)),
  );
}

function showFacet(facet, tags) {
  const box = make("fieldset", {}, make("legend", { textContent: facet || "–" }));
  const shown = tags.filter((tag, place) => place < SHOWN_TAGS || tag.chosen || open.has(facet));
  for (const tag of shown) {
    const tick = make("input", { type: "checkbox", checked: tag.chosen });
    tick.onchange = () => {
      const choice = `${facet}=${tag.name}`;
      state.facets = state.facets.filter(one => one !== choice);
      if (tick.checked) state.facets.push(choice);
      search();
    };
    box.append(make("label", {}, tick, make("span", { textContent: tag.name }),
      make("small", { textContent: tag.count.toLocaleString("en") })));
  }
  if (tags.length > SHOWN_TAGS) {
    const toggle = make("button", { type: "button", textContent: text(open.has(facet) ? "fewer" : "all") });
    toggle.onclick = () => {
      open.has(facet) ? open.delete(facet) : open.add(facet);
      box.replaceWith(showFacet(facet, tags));
    };
    box.append(toggle);
  }
  return box;
}

function showRange(name, reach) {
  const chosen = state.ranges.find(one => one.startsWith(`${name}=`)) ?? `${name}=..`;
  const ends = chosen.slice(name.length + 1).split("..");
  const inputs = [["least", 0], ["most", 1]].map(([key, place]) => make("input", {
    type: "number", step: "any", value: ends[place], placeholder: reach[key],
    ariaLabel: `${text(name)} ${text(key)}`,
  }));
  const changed = () => {
    const [low, high] = inputs.map(input => input.value);
    state.ranges = state.ranges.filter(one => !one.startsWith(`${name}=`));
    if (low || high) state.ranges.push(`${name}=${low}..${high}`);
    search();
  };
  inputs.forEach(input => { input.onchange = changed; });
  return make("fieldset", {}, make("legend", { textContent: text(name) }),
    make("div", { className: "range" }, inputs[0], "–", inputs[1]));
}

function showSorts(found) {
  numbers = [...new Set([...numbers, ...Object.keys(found.numbers)])];
  const sorts = ["relevance", "newest", "popular"].map(key => [key, text(key)]);
  for (const name of numbers) {
    sorts.push([name, text("ascending", text(name))], [`-${name}`, text("descending", text(name))]);
  }
  if (!sorts.some(([key]) => key === state.sort)) sorts.push([state.sort, state.sort]);
  $("sort").replaceChildren(...sorts.map(([value, said]) => make("option", { value, textContent: said })));
  $("sort").value = state.sort;
}

function showHit(hit) {
  const title = make("button", { type: "button", className: "title" }, ...highlighted(hit));
  title.onclick = () => { product = hit; showBeside(); };
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

function showActs(id) {
  return make("div", { className: "acts" }, ...KINDS.map(kind => {
    const act = make("button", { type: "button", textContent: text(kind) });
    act.onclick = () => trying(async () => {
      const event = { user: state.user, product: id, kind, query: state.q };
      await request("events", "", {
        method: "POST", body: JSON.stringify(event), headers: { "Content-Type": "application/json" },
      });
      act.classList.add("done");
      await loadBeside();
    });
    return act;
  }));
}

const showBeside = () => trying(loadBeside);

async function loadBeside() {
  const about = product, user = state.user;
  const whom = about ? { product: about.id } : { user };
  const query = new URLSearchParams({ ...whom, limit: 8, language: state.language });
  const [found, tags] = await Promise.all([
    request("recommend", query),
    about ? request("tags", new URLSearchParams({ product: about.id, user, language: state.language })) : [],
  ]);
  if (about !== product || user !== state.user) return;
  const parts = [];
  if (about) {
    const back = make("button", { type: "button", className: "link", textContent: text("back") });
    back.onclick = () => { product = null; showBeside(); };
    parts.push(back, make("h3", { textContent: about.title }), make("h2", { textContent: text("tagsOf") }),
      make("ul", { className: "chips" }, ...tags.map(one => showTag(one.tag, one.probability, one.affinity))),
      user ? showActs(about.id) : "", make("h2", { textContent: text("besides") }));
  } else {
    parts.push(make("h2", { textContent: user ? text("forCustomer", user) : text("forAll") }));
  }
  if (!found.length) parts.push(make("p", { className: "soft", textContent: text("empty") }));
  $("beside").replaceChildren(...parts, make("ol", {}, ...found.map(one => {
    const title = make("button", { type: "button", className: "title", textContent: one.title });
    title.onclick = () => { product = one; showBeside(); };
    return make("li", {}, title, make("div", { className: "soft", textContent: one.why.text }));
  })));
}

// Completion: a list below the query, by arrows or by hand.
let chosen = -1;
let typed = 0;

async function complete() {
  const number = ++typed, q = $("query").value;
  const found = q.trim()
    ? await request("complete", new URLSearchParams({ q, language: state.language })).catch(() => []) : [];
  if (number !== typed) return;
  chosen = -1;
  $("completions").replaceChildren(...found.map(one => {
    const item = make("li", { role: "option" }, make("span", { textContent: one.text }),
      make("small", { textContent: `${one.facet ?? ""} ${one.products.toLocaleString("en")}` }));
    item.onmousedown = event => { event.preventDefault(); ask(one.text); };
    item.dataset.text = one.text;
    return item;
  }));
  showCompletions(found.length > 0);
}

function showCompletions(shown) {
  $("completions").hidden = !shown;
  $("query").setAttribute("aria-expanded", shown);
  [...$("completions").children].forEach((item, place) => {
    item.setAttribute("aria-selected", place === chosen);
  });
}

function ask(query) {
  typed++;
  $("query").value = state.q = query;
  showCompletions(false);
  search();
}

$("query").oninput = complete;
$("query").onblur = () => showCompletions(false);
$("query").onkeydown = event => {
  const items = [...$("completions").children];
  if (event.key === "Escape") showCompletions(false);
  if ($("completions").hidden || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  event.preventDefault();
  chosen = (chosen + (event.key === "ArrowDown" ? 1 : -1) + items.length + 1) % (items.length + 1);
  if (chosen === items.length) chosen = -1;
  showCompletions(true);
};
$("ask").onsubmit = event => {
  event.preventDefault();
  const item = $("completions").hidden ? null : $("completions").children[chosen];
  state.facets = [];
  state.ranges = [];
  product = null;
  showBeside();
  ask(item?.dataset.text ?? $("query").value);
};
$("sort").onchange = () => { state.sort = $("sort").value; search(); };
$("more").onclick = more;
$("user").onchange = () => { state.user = $("user").value.trim(); search(); showBeside(); };
$("unlock").onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem("key", $("key").value);
  show();
};
$("language").onclick = () => {
  state.language = state.language === "zh" ? "en" : "zh";
  show();
};
window.onpopstate = () => { Object.assign(state, read(location.search)); show(); };

function show() {
  document.documentElement.lang = state.language;
  $("language").textContent = state.language === "zh" ? "English" : "中文";
  $("language").lang = state.language === "zh" ? "en" : "zh";
  document.querySelectorAll("[data-text]").forEach(one => { one.textContent = text(one.dataset.text); });
  document.querySelectorAll("[data-placeholder]").forEach(one => { one.placeholder = text(one.dataset.placeholder); });
  document.querySelectorAll("[data-label]").forEach(one => { one.ariaLabel = text(one.dataset.label); });
  $("query").value = state.q;
  $("user").value = state.user;
  search();
  showBeside();
}

show();
