// Comfort, and nothing that the pages need: without it, people type the code of the mail and see no password.

// The secret of a mailed link moves from the address bar into the form. Only the form's button ever sends it.
function takeSecret() {
  const secret = new URLSearchParams(location.hash.slice(1)).get("token");
  const field = document.getElementById("token");
  if (!secret || !field) return;
  field.value = secret;
  field.closest(".field").hidden = true;
  for (const link of document.querySelectorAll("nav a")) link.hash = location.hash;
  history.replaceState(null, "", location.pathname + location.search);
}
takeSecret();
addEventListener("hashchange", takeSecret);

for (const button of document.querySelectorAll("[data-shows]")) {
  const field = document.getElementById(button.dataset.shows);
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = field.type === "password";
    field.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", shown);
  });
}

// The second half of a double click would send the form again, and be told that its link was used already.
let sent = -Infinity;
addEventListener("submit", (event) => {
  if (event.timeStamp - sent < 2000) event.preventDefault();
  else sent = event.timeStamp;
});
