/** A browser's description of itself, as people call it. */
export function describeAgent(agent: string | null): { name: string; mobile: boolean } {
  if (!agent) return { name: "", mobile: false };
  const browsers: [RegExp, string][] = [[/Edg\//, "Edge"], [/OPR\//, "Opera"], [/Firefox\//, "Firefox"], [/Chrome\//, "Chrome"], [/Safari\//, "Safari"]];
  const systems: [RegExp, string][] = [[/iPhone|iPad/, "iOS"], [/Android/, "Android"], [/Windows/, "Windows"], [/Mac OS X/, "macOS"], [/Linux/, "Linux"]];
  const browser = browsers.find(([pattern]) => pattern.test(agent))?.[1] ?? agent.split("/")[0] ?? agent;
  const system = systems.find(([pattern]) => pattern.test(agent))?.[1];
  return { name: system ? `${browser}, ${system}` : browser, mobile: /Mobile|iPhone|Android/.test(agent) };
}
