/** Light, dark, or as the system says. */
import { useEffect, useState } from "preact/hooks";

const KEY = "pocket3d.theme";
const WORDS: Record<string, string> = { "": "Colours: system", light: "Colours: light", dark: "Colours: dark" };

export function ThemeButton() {
  const [theme, setTheme] = useState(localStorage.getItem(KEY) ?? "");
  useEffect(() => {
    if (theme) document.documentElement.dataset["theme"] = theme;
    else delete document.documentElement.dataset["theme"];
    localStorage.setItem(KEY, theme);
  }, [theme]);
  return (
    <label class="theme">
      <span class="hidden">Colours</span>
      <select value={theme} onChange={(event) => setTheme(event.currentTarget.value)}>
        {Object.entries(WORDS).map(([value, words]) => (
          <option key={value} value={value}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}
