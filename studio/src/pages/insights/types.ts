/** Dashboards and their panels, as the API keeps them. */
export interface Dashboard {
  id: string;
  name: string;
  icon: string | null;
  note: string | null;
  color: string | null;
  panels?: { id: string }[] | string[];
}

/** Where a panel stands, in cells of the grid; the first cell is 1. */
export interface Place { x: number; y: number; width: number; height: number }

export type Options = Record<string, unknown>;

export interface Panel {
  id: string;
  dashboard: string;
  name: string | null;
  icon: string | null;
  color: string | null;
  show_header: boolean;
  note: string | null;
  type: string;
  position_x: number;
  position_y: number;
  width: number;
  height: number;
  /** Null in a panel without options; options of kinds that are not ours are kept as they are. */
  options: Options | null;
}

export const PANEL_FIELDS = ["id", "dashboard", "name", "icon", "color", "show_header", "note", "type", "position_x", "position_y", "width", "height", "options"];
