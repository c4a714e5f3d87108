/** What a form shares with all that is inside it. */
import type { Field, Item } from "@/api/types";
import { inject, provide, type InjectionKey, type Ref } from "vue";

export interface FormContext {
  collection: Ref<string>;
  itemKey: Ref<string>;
  fields: Ref<Field[]>;
  values: Ref<Item>;
  edits: Ref<Item>;
  errors: Ref<Record<string, string>>;
  disabled: Ref<boolean>;
  partial: Ref<boolean>;
  mayEdit: (field: string) => boolean;
  change: (field: string, value: unknown) => void;
}

const key: InjectionKey<FormContext> = Symbol("form");
export function provideForm(context: FormContext): void {
  provide(key, context);
}
export function useForm(): FormContext {
  const context = inject(key);
  if (!context) throw new Error("A form field stands outside of a form");
  return context;
}
