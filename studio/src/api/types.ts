/** Shapes on the wire of the public REST API, as far as the Studio uses them. */

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type Key = string | number;
export type Item = Record<string, unknown>;
export type Action = "create" | "read" | "update" | "delete" | "share";

export interface CollectionMeta {
  icon?: string | null;
  note?: string | null;
  color?: string | null;
  display_template?: string | null;
  hidden?: boolean;
  singleton?: boolean;
  archive_field?: string | null;
  archive_value?: string | null;
  unarchive_value?: string | null;
  archive_app_filter?: boolean;
  sort_field?: string | null;
  accountability?: "all" | "activity" | null;
  sort?: number | null;
  group?: string | null;
  collapse?: string;
  translations?: { language: string; translation: string }[] | null;
  versioning?: boolean;
  preview_url?: string | null;
  system?: boolean;
}

export interface Collection {
  collection: string;
  meta: CollectionMeta | null;
  schema: { name: string } | null;
}

export interface FieldMeta {
  id?: number;
  special?: string[] | null;
  interface?: string | null;
  options?: Record<string, unknown> | null;
  display?: string | null;
  display_options?: Record<string, unknown> | null;
  readonly?: boolean;
  hidden?: boolean;
  sort?: number | null;
  width?: string | null;
  translations?: { language: string; translation: string }[] | null;
  note?: string | null;
  conditions?: Condition[] | null;
  required?: boolean;
  group?: string | null;
  validation?: Filter | null;
  validation_message?: string | null;
  searchable?: boolean;
  system?: boolean;
}

export interface Condition {
  name?: string;
  rule: Filter;
  readonly?: boolean;
  hidden?: boolean;
  required?: boolean;
  options?: Record<string, unknown>;
}

export interface FieldSchema {
  name?: string;
  default_value?: unknown;
  max_length?: number | null;
  numeric_precision?: number | null;
  numeric_scale?: number | null;
  is_nullable?: boolean;
  is_unique?: boolean;
  is_indexed?: boolean;
  is_primary_key?: boolean;
  is_generated?: boolean;
  has_auto_increment?: boolean;
  foreign_key_table?: string | null;
  data_type?: string;
}

export interface Field {
  collection: string;
  field: string;
  type: string;
  schema: FieldSchema | null;
  meta: FieldMeta | null;
}

export interface RelationMeta {
  many_collection: string;
  many_field: string;
  one_collection: string | null;
  one_field: string | null;
  one_collection_field: string | null;
  one_allowed_collections: string[] | null;
  one_deselect_action?: string;
  junction_field: string | null;
  sort_field: string | null;
}

export interface Relation {
  collection: string;
  field: string;
  related_collection: string | null;
  schema: { on_delete?: string } | null;
  meta: RelationMeta | null;
}

export type Filter = { [key: string]: unknown };

export interface Query {
  fields?: string[];
  filter?: Filter | null;
  search?: string | null;
  sort?: string[];
  limit?: number;
  offset?: number;
  page?: number;
  meta?: string[];
  deep?: Record<string, unknown>;
  aggregate?: Record<string, string[]>;
  groupBy?: string[];
  alias?: Record<string, string>;
  export?: string;
}

export interface User {
  id: string;
  first_name?: string | null;
  last_name?: string | null;
  email?: string | null;
  avatar?: string | null;
  language?: string | null;
  appearance?: "auto" | "light" | "dark" | null;
  role?: string | null;
  status?: string;
  tfa_secret?: string | null;
  last_page?: string | null;
  text_direction?: string | null;
  last_access?: string | null;
  title?: string | null;
}

export interface ServerInfo {
  project: {
    project_name: string | null;
    project_descriptor: string | null;
    project_logo: string | null;
    project_color: string | null;
    default_appearance: "auto" | "light" | "dark" | null;
    default_language: string | null;
    public_foreground: string | null;
    public_note: string | null;
    public_registration: boolean;
    public_registration_verify_email: boolean;
  };
  setupCompleted: boolean;
  /** The project's rule for passwords; only told while nobody is there who could ask. */
  passwordPolicy?: string | null;
  version?: string;
  queryLimit?: { default: number; max: number };
  websocket?: false | { rest: false | { authentication: string; path: string } };
}

export interface CollectionAccess {
  access: "none" | "partial" | "full";
  fields?: string[];
  presets?: Record<string, unknown>;
}

export type PermissionsMe = Record<string, Partial<Record<Action, CollectionAccess>>>;

export interface Role {
  id: string;
  name: string;
  icon?: string | null;
  description?: string | null;
  parent?: string | null;
}

export interface Policy {
  id: string;
  name: string;
  icon?: string | null;
  description?: string | null;
  ip_access?: string[] | null;
  enforce_tfa?: boolean;
  admin_access?: boolean;
  app_access?: boolean;
}

export interface AccessRow {
  id: string;
  role: string | null;
  user: string | null;
  policy: string;
  sort?: number | null;
}

export interface Permission {
  id?: number;
  policy: string | null;
  collection: string;
  action: Action;
  permissions: Filter | null;
  validation: Filter | null;
  presets: Record<string, unknown> | null;
  fields: string[] | null;
  system?: boolean;
}

export interface FileRow {
  id: string;
  title?: string | null;
  filename_download: string;
  type?: string | null;
  folder?: string | null;
  filesize?: string | number | null;
  width?: number | null;
  height?: number | null;
  focal_point_x?: number | null;
  focal_point_y?: number | null;
  uploaded_on?: string | null;
  modified_on?: string | null;
  uploaded_by?: string | null;
  description?: string | null;
  tags?: string[] | null;
  location?: string | null;
}
