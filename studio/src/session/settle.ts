/** Make the Studio look and speak as the user wishes, else as the project does. */
import { setAppearance } from "@/design/appearance";
import { languageFor, preferredLanguages, setDirection, setLanguage } from "@/i18n";
import { session } from "@/session/session";

export async function settle(): Promise<void> {
  const { user, info } = session;
  const wanted = user?.language ? [user.language] : [...preferredLanguages(), info?.project.default_language];
  await setLanguage(languageFor(wanted));
  setDirection(user?.text_direction);
  const chosen = user?.appearance ?? info?.project.default_appearance;
  if (chosen) setAppearance(chosen);
}
