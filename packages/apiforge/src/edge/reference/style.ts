/** The page's looks: no file and no font from anywhere else. */
export const style = `
:root {
  color-scheme: light dark;
  --page: light-dark(#ffffff, #14171c);
  --side: light-dark(#f6f7f9, #191d23);
  --text: light-dark(#1c2430, #e3e7ed);
  --soft: light-dark(#5c6675, #98a2b1);
  --line: light-dark(#e2e6eb, #2b313a);
  --code: light-dark(#f3f5f8, #1e232b);
  --link: light-dark(#1a56c4, #82aaff);
  --get: light-dark(#0b6e4f, #5fd3a4);
  --post: light-dark(#1a56c4, #82aaff);
  --put: light-dark(#8a5a00, #eab54f);
  --patch: light-dark(#6b3fa0, #c4a2f2);
  --delete: light-dark(#b3261e, #ff8f87);
  --mono: ui-monospace, "SF Mono", "Cascadia Code", Menlo, Consolas, "DejaVu Sans Mono", monospace;
}
* { box-sizing: border-box; }
html { scroll-padding-top: 1rem; -webkit-text-size-adjust: 100%; }
body {
  margin: 0; display: grid; grid-template-columns: 21rem minmax(0, 1fr);
  background: var(--page); color: var(--text);
  font: 15px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; border-radius: 3px; }
code, pre { font-family: var(--mono); font-size: 0.87em; }
pre code { font-size: inherit; }
.path span { display: inline-block; max-width: 100%; overflow-wrap: anywhere; }
.path b { font-weight: 500; color: var(--soft); }
.bar, nav .close { display: none; }
nav {
  position: sticky; top: 0; height: 100vh; overflow-y: auto; padding: 1.5rem 1rem 3rem;
  background: var(--side); border-right: 1px solid var(--line);
}
nav .title { font-weight: 650; font-size: 1.05rem; color: var(--text); display: block; padding: 0 0.5rem; }
nav .version { color: var(--soft); font-size: 0.8rem; padding: 0 0.5rem; margin: 0 0 1rem; }
nav h2 {
  margin: 1.4rem 0 0.3rem; padding: 0 0.5rem; font-size: 0.72rem; font-weight: 600;
  letter-spacing: 0.06em; text-transform: uppercase; color: var(--soft);
}
nav ul { list-style: none; margin: 0; padding: 0; }
nav li a {
  display: grid; grid-template-columns: 3.3rem minmax(0, 1fr); align-items: baseline;
  padding: 0.22rem 0.5rem; border-radius: 5px; color: var(--text);
}
nav li a:hover { background: var(--line); text-decoration: none; }
nav li a code { font-size: 0.78rem; }
nav li.old .path { color: var(--soft); }
nav li.old .path span { text-decoration: line-through; }
nav li.plain a { display: block; font-size: 0.85rem; }
main { padding: 2.5rem clamp(1.25rem, 4vw, 4rem) 6rem; max-width: 62rem; }
h1 { margin: 0 0 0.5rem; font-size: 1.9rem; letter-spacing: -0.015em; line-height: 1.2; }
h2.group { margin: 3.5rem 0 0; padding-bottom: 0.5rem; border-bottom: 1px solid var(--line); font-size: 1.3rem; }
h2.group::first-letter { text-transform: uppercase; }
h3 { margin: 0; font-size: 1.02rem; font-weight: 600; }
h3 a { color: var(--text); display: flex; gap: 0.75rem; align-items: baseline; flex-wrap: wrap; }
h3 code { font-size: 1rem; }
h4 {
  margin: 1.5rem 0 0.35rem; font-size: 0.75rem; font-weight: 600; letter-spacing: 0.05em;
  text-transform: uppercase; color: var(--soft);
}
.lead { color: var(--soft); max-width: 46rem; }
.operation { padding: 2rem 0 2.25rem; border-bottom: 1px solid var(--line); }
.operation:target > header { margin-left: -0.9rem; padding-left: 0.7rem; border-left: 0.2rem solid var(--link); }
.summary { margin: 0.45rem 0 0; }
.facts { margin: 0.5rem 0 0; display: flex; gap: 0.4rem; flex-wrap: wrap; }
.fact { font-size: 0.78rem; color: var(--soft); border: 1px solid var(--line); border-radius: 99px; padding: 0.05rem 0.6rem; }
.fact.warn { color: var(--put); border-color: currentColor; }
.method { font: 700 0.68rem/1 var(--mono); letter-spacing: 0.02em; color: var(--soft); }
h3 .method { font-size: 0.85rem; }
.method.get { color: var(--get); } .method.post { color: var(--post); } .method.put { color: var(--put); }
.method.patch { color: var(--patch); } .method.delete { color: var(--delete); }
.fields { list-style: none; margin: 0; padding: 0; border-top: 1px solid var(--line); }
.fields li { padding: 0.45rem 0; border-bottom: 1px solid var(--line); }
.fields .fields { margin: 0.4rem 0 0 0.35rem; padding-left: 1rem; border-top: 0; border-left: 2px solid var(--line); }
.fields .fields li:last-child { border-bottom: 0; padding-bottom: 0; }
.name { font-weight: 600; margin-right: 0.4rem; }
.type { font: 0.8rem var(--mono); color: var(--post); margin-right: 0.4rem; overflow-wrap: anywhere; }
.place, .optional, .note { font-size: 0.83rem; color: var(--soft); margin-right: 0.3rem; }
.place::before { content: "in "; }
.note { display: inline-block; }
.note code { overflow-wrap: anywhere; }
.media { margin: 0.3rem 0; color: var(--soft); }
.or { margin: 0.5rem 0 0.2rem; font-size: 0.8rem; color: var(--soft); }
summary { cursor: pointer; }
summary::marker { color: var(--soft); font-size: 0.75em; }
.answer { margin: 0.35rem 0; }
.answer > .fields, .answer > .media { margin-left: 1.1rem; }
.status { font: 600 0.85rem var(--mono); margin-right: 0.4rem; color: var(--soft); }
.s2 { color: var(--get); } .s3 { color: var(--post); } .s4, .s5 { color: var(--delete); }
.quiet { color: var(--soft); font-size: 0.87rem; margin-top: 0.7rem; }
pre { margin: 0; padding: 0.85rem 1rem; background: var(--code); border: 1px solid var(--line); border-radius: 7px; overflow-x: auto; line-height: 1.5; }
@media (max-width: 56rem) {
  body { display: block; }
  html { scroll-padding-top: 4rem; }
  .bar {
    position: sticky; top: 0; z-index: 1; display: flex; justify-content: space-between; gap: 1rem;
    padding: 0.75rem 1.25rem; background: var(--side); border-bottom: 1px solid var(--line);
  }
  .bar a:first-child { color: var(--text); font-weight: 650; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  nav { display: none; position: fixed; inset: 0; z-index: 2; height: auto; padding: 0.75rem 0.75rem 3rem; border-right: 0; }
  nav:target { display: block; }
  nav .close { display: block; float: right; padding: 0 0.5rem; }
  nav li a { padding-block: 0.4rem; }
  main { padding-top: 1.5rem; }
}
@media print { nav, .bar { display: none; } body { display: block; } }
`;
