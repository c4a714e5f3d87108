/** Roles, policies and what ties them, read together: the access pages need all of it and it is small. */
import { api } from "@/api/client";
import type { AccessRow, Permission, Policy, Role } from "@/api/types";
import { useQuery } from "@tanstack/vue-query";

export const PUBLIC_POLICY = "abf8a154-5b1c-4a46-ac9c-7300570f4f17";

export const useRoles = () =>
  useQuery({ queryKey: ["roles", "all"], queryFn: () => api.get<Role[]>("roles", { fields: ["id", "name", "icon", "description", "parent"], limit: -1, sort: ["name"] }) });
export const usePolicies = () =>
  useQuery({
    queryKey: ["policies"],
    queryFn: () => api.get<Policy[]>("policies", { fields: ["id", "name", "icon", "description", "ip_access", "enforce_tfa", "admin_access", "app_access"], limit: -1, sort: ["name"] }),
  });
export const useAccess = () => useQuery({ queryKey: ["access"], queryFn: () => api.get<AccessRow[]>("access", { limit: -1, sort: ["sort"] }) });
/** The stored rules; the implicit ones of app users (without id) are left out. */
export const usePermissions = () =>
  useQuery({ queryKey: ["permissions"], queryFn: async () => (await api.get<Permission[]>("permissions", { limit: -1 })).filter((p) => p.id !== undefined) });
