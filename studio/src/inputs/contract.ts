/** What every input component is given, and what it says back. */
import type { Field, Item } from "@/api/types";
import { ownText } from "@/i18n/terms";

export interface InputProps {
  /** Of the control, for its label. */
  id: string;
  modelValue: unknown;
  field: Field;
  /** The interface's options, conditions applied. */
  options: Record<string, unknown>;
  disabled?: boolean;
  invalid?: boolean;
  describedBy?: string;
  /** The key of the item being edited; "+" for a new one. */
  itemKey: string;
  /** All values of the form, edits included. */
  values: Item;
}

export interface Choice { text: string; value: string | number | boolean; color?: string; icon?: string }

export function choicesOf(options: Record<string, unknown>): Choice[] {
  const given = Array.isArray(options.choices) ? options.choices : [];
  return given.flatMap((choice): Choice[] => {
    if (choice === null || choice === undefined) return [];
    if (typeof choice !== "object") return [{ text: String(choice), value: choice as string }];
    const { text, value, color, icon } = choice as Partial<Choice> & { text?: string };
    return value === undefined || value === null ? [] : [{ text: ownText(text ?? String(value)), value, color, icon }];
  });
}
