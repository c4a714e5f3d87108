/** CodeMirror, set up once. Loaded only where code is edited. */
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { bracketMatching, defaultHighlightStyle, HighlightStyle, indentOnInput, syntaxHighlighting } from "@codemirror/language";
import { Compartment, EditorState, type Extension } from "@codemirror/state";
import { EditorView, keymap, lineNumbers, placeholder } from "@codemirror/view";

const grammars: Record<string, () => Promise<Extension>> = {
  json: () => import("@codemirror/lang-json").then((m) => m.json()),
  javascript: () => import("@codemirror/lang-javascript").then((m) => m.javascript()),
  typescript: () => import("@codemirror/lang-javascript").then((m) => m.javascript({ typescript: true })),
  htmlmixed: () => import("@codemirror/lang-html").then((m) => m.html()),
  html: () => import("@codemirror/lang-html").then((m) => m.html()),
  css: () => import("@codemirror/lang-css").then((m) => m.css()),
  sql: () => import("@codemirror/lang-sql").then((m) => m.sql()),
  yaml: () => import("@codemirror/lang-yaml").then((m) => m.yaml()),
  markdown: () => import("@codemirror/lang-markdown").then((m) => m.markdown()),
};

const look = EditorView.theme({
  "&": { color: "var(--text)", backgroundColor: "var(--surface)", fontSize: "var(--text-sm)" },
  ".cm-content": { fontFamily: "var(--mono)", padding: "8px 0", caretColor: "var(--text)" },
  ".cm-gutters": { backgroundColor: "var(--surface-2)", color: "var(--text-3)", border: "0" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  "&.cm-focused": { outline: "none" },
  "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--accent-soft) !important" },
});

// The usual colours, lightened as far as the theme says: on a dark ground they could not be read.
const colours = HighlightStyle.define(
  defaultHighlightStyle.specs.map((spec) => (spec.color ? { ...spec, color: `color-mix(in oklab, ${spec.color}, white var(--code-lift))` } : spec)),
);

export interface Editor { view: EditorView; destroy: () => void; setText: (text: string) => void }

export async function createEditor(
  parent: HTMLElement,
  options: { text: string; language: string; label: string; disabled?: boolean; lines?: boolean; hint?: string; change: (text: string) => void },
): Promise<Editor> {
  const grammar = new Compartment();
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: options.text,
      extensions: [
        history(), indentOnInput(), bracketMatching(), syntaxHighlighting(colours), look,
        // Tab leaves the editor, so that the keyboard can too; indenting is Ctrl+].
        keymap.of([...defaultKeymap, ...historyKeymap]), EditorView.lineWrapping,
        options.lines === false ? [] : lineNumbers(), options.hint ? placeholder(options.hint) : [],
        EditorState.readOnly.of(options.disabled === true), EditorView.contentAttributes.of({ "aria-label": options.label }),
        EditorView.updateListener.of((update) => update.docChanged && options.change(update.state.doc.toString())), grammar.of([]),
      ],
    }),
  });
  const load = grammars[options.language];
  if (load) void load().then((extension) => view.dispatch({ effects: grammar.reconfigure(extension) }));
  return {
    view,
    destroy: () => view.destroy(),
    setText: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
  };
}
