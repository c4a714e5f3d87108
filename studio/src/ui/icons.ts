/** The icons in use, and how the Material names that databases store map to them. */
import * as L from "lucide-vue-next";
import type { Component } from "vue";

const byMaterialName: Record<string, Component> = {
  account_circle: L.CircleUser, admin_panel_settings: L.ShieldCheck, alarm: L.AlarmClock, analytics: L.ChartColumn,
  archive: L.Archive, article: L.FileText, assignment: L.ClipboardList, attach_file: L.Paperclip, badge: L.IdCard,
  bolt: L.Zap, book: L.Book, bookmark: L.Bookmark, box: L.Box, build: L.Wrench, business: L.Building2, calendar_today: L.Calendar,
  call: L.Phone, category: L.Shapes, chat: L.MessageSquare, check: L.Check, cloud: L.Cloud, code: L.Code, credit_card: L.CreditCard,
  dashboard: L.LayoutDashboard, database: L.Database, description: L.FileText, directions_car: L.Car, email: L.Mail,
  event: L.CalendarDays, face: L.Smile, favorite: L.Heart, feedback: L.MessageCircle, flag: L.Flag, flight: L.Plane,
  folder: L.Folder, format_quote: L.Quote, group: L.Users, groups: L.Users, help: L.CircleHelp, home: L.House, image: L.Image,
  import_export: L.ArrowUpDown, info: L.Info, inventory: L.Package, inventory_2: L.Package, key: L.Key, label: L.Tag,
  language: L.Languages, link: L.Link, list: L.List, local_offer: L.Tag, location_on: L.MapPin, lock: L.Lock, mail: L.Mail,
  map: L.Map, menu_book: L.BookOpen, movie: L.Film, music_note: L.Music, newspaper: L.Newspaper, notes: L.StickyNote,
  notifications: L.Bell, palette: L.Palette, payments: L.Banknote, people: L.Users, people_alt: L.Users, person: L.User,
  phone: L.Phone, photo_camera: L.Camera, place: L.MapPin, public: L.Globe, receipt: L.Receipt, restaurant: L.Utensils,
  rocket_launch: L.Rocket, schedule: L.Clock, school: L.GraduationCap, science: L.FlaskConical, search: L.Search, sell: L.Tag,
  settings: L.Settings, share: L.Share2, shopping_cart: L.ShoppingCart, star: L.Star, storage: L.HardDrive, store: L.Store,
  supervised_user_circle: L.Users, table_chart: L.Table2, task: L.ListTodo, translate: L.Languages, trending_up: L.TrendingUp,
  verified: L.BadgeCheck, verified_user: L.ShieldCheck, visibility: L.Eye, vpn_key: L.Key, work: L.Briefcase,
};

export const iconNames = Object.keys(byMaterialName);

/** The icon for a stored name; `fallback` where the name is none of ours. */
export function iconFor(name: string | null | undefined, fallback: Component = L.Table2): Component {
  return (name ? byMaterialName[name] : undefined) ?? fallback;
}
