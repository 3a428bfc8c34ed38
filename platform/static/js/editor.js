// What the editor of posts adds to a form that works without.

// A time in UTC, told in the writer's own zone as well.
for (const input of document.querySelectorAll("input[data-utc]")) {
  const told = document.createElement("span");
  told.className = "help";
  told.setAttribute("role", "status");
  input.after(told);
  const tell = () => {
    const date = new Date(`${input.value}Z`);
    told.textContent = Number.isNaN(date.getTime())
      ? ""
      : `Where you are, that's ${date.toLocaleString([], { weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" })}.`;
  };
  input.addEventListener("input", tell);
  tell();
}
