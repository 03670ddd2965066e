/* Connection strings that are pasted into a destination's form: split into its fields in the browser, never sent, never kept. */
"use strict";

(() => {
  /* --- pure functions: text in, {values, notes} out; null where the text is nothing of the kind ----------------- */
  const found = (values, notes = []) => {
    const kept = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ""));
    return Object.keys(kept).length ? { values: kept, notes } : null;
  };

  const decoded = (text) => {
    try { return decodeURIComponent(text); } catch { return text; }
  };

  const webUrl = (text) => {
    if (!/^https?:\/\//i.test(text)) return null;
    try { return new URL(text); } catch { return null; }
  };

  const parameters = (query) => {
    const pairs = (query || "").split("&").filter(Boolean).map((pair) => {
      const [name, ...rest] = pair.split("=");
      return [decoded(name).toLowerCase(), decoded(rest.join("="))];
    });
    return Object.fromEntries(pairs);
  };

  /* user:password@host:port/database?x=y; a password may hold what should have been percent-encoded. */
  const PLACE = String.raw`(\[[0-9A-Fa-f:.]+\]|[^:/?#@\[\],]*)(?::(\d+))?(?:\/([^?#]*))?(?:\?([^#]*))?`;
  const STRICT = new RegExp(`^(?:([^/?#]*)@)?${PLACE}$`);
  const LENIENT = new RegExp(`^(?:(.*)@)?${PLACE}$`, "s");

  const database = (rest) => {
    const match = STRICT.exec(rest) || LENIENT.exec(rest);
    if (!match) return null;
    const [, login, host, port, name, query] = match;
    const colon = (login || "").indexOf(":");
    return {
      "config.username": decoded(colon < 0 ? login || "" : login.slice(0, colon)),
      "credentials.password": colon < 0 ? "" : decoded(login.slice(colon + 1)),
      "config.host": host.replace(/^\[|\]$/g, ""),
      "config.port": port,
      "config.database": decoded(name || ""),
      asked: parameters(query),
    };
  };

  const MODES = {
    disable: "disable", disabled: "disable", false: "disable", require: "require", required: "require", true: "require",
    "verify-ca": "verify-ca", verify_ca: "verify-ca", "verify-full": "verify-full", verify_identity: "verify-full",
  };

  const tls = (asked, notes) => {
    const mode = asked.sslmode || asked["ssl-mode"] || asked.ssl_mode || asked.ssl;
    if (asked.sslrootcert || asked["ssl-ca"] || asked.sslca) {
      notes.push("It names a file with a CA certificate: paste the text of that file into CA certificate.");
    }
    if (!mode) return undefined;
    const known = MODES[mode.toLowerCase()];
    if (!known) notes.push(`TLS stays as it is: “${mode}” would let the connection go without it.`);
    return known;
  };

  const postgres = (text) => {
    if (/^(jdbc:)?postgres(ql)?:\/\//i.test(text)) {
      const read = database(text.replace(/^(jdbc:)?postgres(ql)?:\/\//i, ""));
      if (!read) return null;
      const { asked, ...values } = read;
      const notes = [];
      return found({
        "config.username": values["config.username"] || asked.user,
        ...values,
        ...(values["config.username"] ? {} : { "config.username": asked.user }),
        ...(values["credentials.password"] ? {} : { "credentials.password": asked.password }),
        "config.schema": asked.schema || asked.currentschema,
        "config.ssl_mode": tls(asked, notes),
      }, notes);
    }
    return keywords(text);
  };

  /* host=db.example.com port=5432 dbname=health user=terra password='a b' */
  const keywords = (text) => {
    const asked = {};
    for (const [, name, bare, inQuotes] of text.matchAll(/(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^\s']+))/g)) {
      asked[name.toLowerCase()] = (inQuotes ?? bare).replace(/\\(.)/g, "$1");
    }
    if (!asked.host || !(asked.dbname || asked.user)) return null;
    const notes = [];
    return found({
      "config.host": asked.host, "config.port": asked.port, "config.database": asked.dbname,
      "config.username": asked.user, "credentials.password": asked.password, "config.ssl_mode": tls(asked, notes),
    }, notes);
  };

  const mysql = (text) => {
    const scheme = /^(jdbc:)?(mysql2?|mariadb)(\+\w+)?:\/\//i;
    const read = scheme.test(text) ? database(text.replace(scheme, "")) : null;
    if (!read) return null;
    const { asked, ...values } = read;
    const notes = [];
    return found({ ...values, "config.ssl_mode": tls(asked, notes) }, notes);
  };

  const webhook = (text) => {
    const url = webUrl(text);
    if (!url) return null;
    const [username, password] = [decoded(url.username), decoded(url.password)];
    if (!username && !password) return found({ "config.url": text });
    const bare = text.replace(/^(https?:\/\/)[^/?#]*@/i, "$1");
    return found({ "config.url": bare, "config.auth": "basic", "config.username": username, "credentials.password": password });
  };

  const supabase = (text) => {
    const url = webUrl(text);
    const dashboard = /^(?:www\.|app\.)?supabase\.com$/.test(url?.hostname || "") && /\/project\/([a-z]{20})(\/|$)/.exec(url.pathname);
    const project = (ref) => `https://${ref}.supabase.co`;
    if (dashboard) return found({ "config.project_url": project(dashboard[1]) });
    if (url) return found({ "config.project_url": url.origin });
    const database_ = /^postgres(?:ql)?:\/\/.*(?:@db\.([a-z]{20})\.supabase\.co|postgres\.([a-z]{20}):)/i.exec(text);
    if (database_) {
      const note = "The hub speaks to the Data API, not to the database: it needs an API key, and no password.";
      return found({ "config.project_url": project(database_[1] || database_[2]) }, [note]);
    }
    if (/^sb_secret_\S+$/.test(text)) return found({ "credentials.api_key": text });
    const claims = claimsOf(text);
    if (!claims) return /^[a-z]{20}$/.test(text) ? found({ "config.project_url": project(text) }) : null;
    const of = /^[a-z]{20}$/.test(claims.ref || "") ? project(claims.ref) : undefined;
    if (claims.role === "anon") {
      return found({ "config.project_url": of }, ["The key is the public one (anon): it may not write, so it was left out."]);
    }
    return found({ "credentials.api_key": text, "config.project_url": of });
  };

  const claimsOf = (text) => {
    const part = /^eyJ[\w-]*\.([\w-]+)\.[\w-]*$/.exec(text);
    if (!part) return null;
    try { return JSON.parse(atob(part[1].replace(/-/g, "+").replace(/_/g, "/"))) || {}; } catch { return {}; }
  };

  const trimmed = (path) => decoded(path).replace(/^\/+|\/+$/g, "");
  const bucketAndPrefix = (path) => {
    const [bucket, ...rest] = trimmed(path).split("/");
    return { "config.bucket": bucket, "config.prefix": rest.join("/") };
  };
  const AWS_S3 = /^(?:(.+)\.)?s3(?:[.-](?:dualstack\.)?([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?$/;

  const s3 = (text) => {
    const scheme = /^(?:s3:\/\/|arn:aws[a-z-]*:s3:::)(.+)$/i.exec(text);
    if (scheme) return found(bucketAndPrefix(scheme[1]));
    const url = webUrl(text);
    if (!url) return null;
    const bucket = /\/s3\/buckets\/([^/?]+)/.exec(url.pathname);
    if (bucket && /\.(aws\.)?amazon\.com$/.test(url.hostname)) {
      const region = url.searchParams.get("region") || "";
      return found({ "config.bucket": bucket[1], "config.region": region, "config.prefix": trimmed(url.searchParams.get("prefix") || "") });
    }
    const aws = AWS_S3.exec(url.hostname);
    if (!aws) return found({ ...bucketAndPrefix(url.pathname), "config.endpoint_url": url.origin });
    const [, host, region] = aws;
    const place = host ? { "config.bucket": host, "config.prefix": trimmed(url.pathname) } : bucketAndPrefix(url.pathname);
    return found({ ...place, "config.region": region || "" });
  };

  const gcs = (text) => {
    if (text.startsWith("{")) {
      let key;
      try { key = JSON.parse(text); } catch { return null; }
      if (key.type !== "service_account" || !key.private_key) return null;
      return found({ "credentials.service_account_key": text });
    }
    const scheme = /^gs:\/\/(.+)$/i.exec(text);
    if (scheme) return found(bucketAndPrefix(scheme[1]));
    const url = webUrl(text);
    const browser = url && /^\/storage\/browser\/(.+)$/.exec(url.pathname);
    if (browser && url.hostname === "console.cloud.google.com") return found(bucketAndPrefix(browser[1].split(";")[0]));
    if (url?.hostname === "storage.googleapis.com" || url?.hostname === "storage.cloud.google.com") return found(bucketAndPrefix(url.pathname));
    const host = /^(.+)\.storage\.googleapis\.com$/.exec(url?.hostname || "");
    return host ? found({ "config.bucket": host[1], "config.prefix": trimmed(url.pathname) }) : null;
  };

  const azureblob = (text) => {
    if (/(^|;)\s*AccountName=/i.test(text) || /(^|;)\s*BlobEndpoint=/i.test(text)) return azureText(text);
    const url = webUrl(text);
    if (!url) return null;
    const host = /^([a-z0-9]{3,24})\.blob\.(core\..+)$/.exec(url.hostname);
    const path = trimmed(url.pathname).split("/");
    const account = host ? host[1] : path.shift();
    const [container, ...prefix] = path;
    const token = url.search.slice(1);
    const isToken = /(^|&)sig=/.test(token);
    const ownHost = host && host[2] === "core.windows.net";
    return found({
      "config.account": account, "config.container": container, "config.prefix": prefix.join("/"),
      "config.endpoint_url": ownHost ? "" : host ? url.origin : `${url.origin}/${account}`,
      "config.auth": isToken ? "sas_token" : "", "credentials.sas_token": isToken ? token : "",
    });
  };

  const azureText = (text) => {
    const parts = Object.fromEntries(text.split(";").filter((part) => part.includes("=")).map((part) => {
      const [name, ...rest] = part.trim().split("=");
      return [name.toLowerCase(), rest.join("=")];
    }));
    const token = (parts.sharedaccesssignature || "").replace(/^\?/, "");
    const endpoint = webUrl(parts.blobendpoint || "");
    const account = parts.accountname || /^([a-z0-9]{3,24})\.blob\./.exec(endpoint?.hostname || "")?.[1];
    const suffix = parts.endpointsuffix || "core.windows.net";
    const elsewhere = suffix === "core.windows.net" ? "" : `https://${account}.blob.${suffix}`;
    const named = endpoint && !endpoint.hostname.endsWith(".blob.core.windows.net");
    return found({
      "config.account": account, "config.endpoint_url": named ? endpoint.href.replace(/\/$/, "") : elsewhere,
      "config.auth": parts.accountkey ? "account_key" : token ? "sas_token" : "",
      "credentials.account_key": parts.accountkey, "credentials.sas_token": token,
    });
  };

  const AWS_SQS = /^(?:sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)|(?:([a-z0-9-]+)\.)?queue\.amazonaws\.com(?:\.cn)?)$/;

  const sqs = (text) => {
    const arn = /^arn:aws[a-z-]*:sqs:([a-z0-9-]+):[0-9]{12}:\S+$/.exec(text);
    if (arn) return found({ "config.queue": text, "config.region": arn[1] });
    const url = webUrl(text);
    if (!url || !/^(\/[^/]+)*\/[^/]+\/[A-Za-z0-9_-]+(\.fifo)?$/.test(url.pathname)) return null;
    const aws = AWS_SQS.exec(url.hostname);
    if (aws) return found({ "config.queue": text, "config.region": aws[1] || aws[2] || "us-east-1" });
    return found({ "config.queue": text, "config.endpoint_url": url.origin });
  };

  const KINDS = {
    webhook: [webhook, "https://user:password@api.example.com/webhooks/terra", "A URL, also with user and password"],
    postgres: [postgres, "postgres://terra_user:password@db.example.com:5432/health", "A connection string of PostgreSQL"],
    mysql: [mysql, "mysql://terra_user:password@db.example.com:3306/health", "A connection string of MySQL"],
    supabase: [supabase, "https://supabase.com/dashboard/project/…", "The project's URL, its page in the dashboard, or a key"],
    s3: [s3, "s3://my-bucket/terra", "s3://…, an ARN, or a bucket's URL"],
    gcs: [gcs, "gs://my-bucket/terra", "gs://…, a bucket's URL, or a service account's key (JSON)"],
    azureblob: [azureblob, "https://account.blob.core.windows.net/container?sv=…&sig=…", "A SAS URL, or a connection string"],
    sqs: [sqs, "https://sqs.eu-west-1.amazonaws.com/123456789012/terra", "A queue's URL or ARN"],
  };

  const read = (kind, text) => (kind in KINDS ? KINDS[kind][0](text.trim()) : null);
  window.hubPaste = Object.freeze({ read });

  /* --- the form ------------------------------------------------------------------------------------------------- */
  const field = (form, name) => {
    const item = form.elements[name];
    // A file and its text share a name: the text is the one that can be filled in.
    return item instanceof RadioNodeList ? [...item].find((one) => one.tagName === "TEXTAREA") || null : item || null;
  };

  const labelOf = (input) => {
    const id = input.id.replace(/_text$/, "");
    return document.querySelector(`label[for="${CSS.escape(id)}"]`)?.childNodes[0].textContent.trim() || input.name;
  };

  /* Fill in what was read, and return the labels of what was filled. */
  const fill = (form, values) => {
    const labels = [];
    for (const [name, value] of Object.entries(values)) {
      const input = field(form, name);
      if (!input) continue;
      input.value = value;
      if (input.value !== value) continue; // a list that has no such choice
      labels.push(labelOf(input));
      for (const kind of ["input", "change"]) input.dispatchEvent(new Event(kind, { bubbles: true }));
    }
    return labels;
  };

  const say = (panel, texts) => {
    panel.querySelector("[data-hub-said]").replaceChildren(...texts.map((text) => {
      const line = document.createElement("p");
      line.textContent = text;
      return line;
    }));
  };

  const take = (panel, text) => {
    const result = read(panel.dataset.hubPaste, text);
    if (!result) {
      say(panel, [`That is none of what goes here: ${KINDS[panel.dataset.hubPaste][2]}. Nothing was filled in.`]);
      return;
    }
    const labels = fill(panel.closest("form"), result.values);
    say(panel, [`Filled in: ${labels.join(", ")}. Look at them before you save.`, ...result.notes]);
  };

  /* More than one field is meant, or the text is no value of this field. */
  const splits = (input, result, text) => {
    const names = Object.keys(result.values);
    return names.length > 1 || names[0] !== input.name || result.values[names[0]] !== text.trim();
  };

  const onPaste = (event) => {
    const panel = document.querySelector("[data-hub-paste]");
    const text = event.clipboardData?.getData("text/plain") || "";
    if (!panel || !text.trim()) return;
    if (event.target.hasAttribute("data-hub-paste-here")) {
      event.preventDefault();
      event.target.value = "";
      take(panel, text);
      return;
    }
    const name = event.target.name || "";
    if (!/^(config|credentials)\./.test(name) || event.target.closest("form") !== panel.closest("form")) return;
    const result = read(panel.dataset.hubPaste, text);
    if (!result || !splits(event.target, result, text)) return;
    event.preventDefault();
    take(panel, text);
  };

  const onTyped = (event) => {
    const panel = document.querySelector("[data-hub-paste]");
    if (!panel || !event.target.hasAttribute?.("data-hub-paste-here")) return;
    if (event.type === "keydown" && event.key !== "Enter") return;
    if (event.type === "input" && !/^insertFrom(Drop|Paste)/.test(event.inputType || "")) return;
    if (event.type === "keydown") event.preventDefault();
    event.stopPropagation(); // it is no field of the form
    const text = event.target.value;
    event.target.value = "";
    if (text.trim()) take(panel, text);
  };

  document.addEventListener("paste", onPaste);
  for (const kind of ["keydown", "change", "input"]) document.addEventListener(kind, onTyped, true);
  document.addEventListener("DOMContentLoaded", () => {
    for (const panel of document.querySelectorAll("[data-hub-paste]")) {
      const [, example, what] = KINDS[panel.dataset.hubPaste] || [];
      if (!example) continue;
      panel.querySelector("[data-hub-paste-here]").placeholder = example;
      panel.querySelector("[data-hub-paste-what]").textContent = `${what}.`;
      panel.hidden = false;
    }
  });
})();
