// The line at the top of a page that tells of maintenance mode, as the socket says it.

/**
 * Show that maintenance mode is on, or take the line away.
 * @param {{is_on: boolean, message?: string, ends_at?: string | null}} told
 */
export function showMaintenance(told) {
  const place = document.querySelector("[data-maintenance]");
  if (!place) return;
  if (!told.is_on) {
    place.replaceChildren();
    return;
  }
  const line = document.createElement("p");
  const title = document.createElement("strong");
  title.textContent = "Maintenance mode is on";
  line.append(title);
  const end = told.ends_at ? new Date(told.ends_at) : null;
  if (end && !Number.isNaN(end.getTime())) {
    const time = document.createElement("time");
    time.dateTime = told.ends_at;
    time.textContent = `${end.toISOString().slice(11, 16)} UTC`;
    line.append(" until ", time);
  }
  line.append(`. ${told.message ?? ""}`);
  place.replaceChildren(line);
}
