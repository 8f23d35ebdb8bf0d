// The Node clients of test/clients/run.
//
// Usage: node client.mjs LIBRARY PROTOCOL URL CASE [number ...]
//
// LIBRARY is http, fetch or http2; PROTOCOL is h1 or h2.  The cases and what is
// printed for them stand in test/clients/run.  fetch is told of the CA by
// NODE_EXTRA_CA_CERTS.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import http from "node:http";
import http2 from "node:http2";
import https from "node:https";
import tls from "node:tls";

const [library, , url, name, ...numbers] = process.argv.slice(2);
const ca = readFileSync(process.env.LHTTPD_CA);
const PERIOD = 65521;
const PATTERN = Buffer.alloc(PERIOD);
for (let i = 0; i < PERIOD; i++)
    PATTERN[i] = (i * 7 + Math.floor(i / 251)) % 256;

const text = (n) => Buffer.alloc(n, PATTERN);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

// Reads at most `piece` octets at a time, as a program with a small buffer.
async function readPieces(stream, piece) {
    const parts = [];
    stream.pause();
    for (;;) {
        const part = stream.read(piece) ?? stream.read();
        if (part) {
            parts.push(part);
            continue;
        }
        if (stream.readableEnded) return Buffer.concat(parts);
        await new Promise((done, fail) => {
            stream.once("readable", done);
            stream.once("end", done);
            stream.once("error", fail);
        });
    }
}

const agent = url.startsWith("https")
    ? new https.Agent({ keepAlive: true, maxSockets: 1, ca })
    : new http.Agent({ keepAlive: true, maxSockets: 1 });

function askHttp(method, path, body, piece) {
    const kind = url.startsWith("https") ? https : http;
    return new Promise((done, fail) => {
        const request = kind.request(url + path, { method, agent });
        request.on("error", fail);
        request.on("response", async (response) => {
            try {
                done([response.statusCode, await readPieces(response, piece)]);
            } catch (problem) {
                fail(problem);
            }
        });
        request.end(body);
    });
}

async function askFetch(method, path, body) {
    const response = await fetch(url + path, { method, body });
    return [response.status, Buffer.from(await response.arrayBuffer())];
}

let session;

async function askHttp2(method, path, body, piece) {
    if (!session || session.closed || session.destroyed)
        session = http2.connect(url, { ca });
    const problem = new Promise((_, fail) => session.once("error", fail));
    const stream = session.request({ ":method": method, ":path": path },
                                   { endStream: body === undefined });
    let status;
    stream.on("response", (fields) => (status = fields[":status"]));
    if (body !== undefined) stream.end(body);
    const data = await Promise.race([readPieces(stream, piece), problem]);
    return [status, data];
}

const ask = { http: askHttp, fetch: askFetch, http2: askHttp2 }[library];
const digest = (body) => createHash("sha256").update(body).digest("hex");

async function download(path, piece) {
    const [status, body] = await ask("GET", path, undefined, piece);
    return `${status} ${body.length} ${digest(body)}`;
}

async function send(path, n) {
    const [status, body] = await ask("POST", path, text(n));
    return `${status} ${body.toString().trim()}`;
}

// One connection after the other, the second with the session of the first.
async function resume() {
    const { hostname, port } = new URL(url);
    let ticket;
    let reused;
    for (let i = 0; i < 2; i++) {
        await new Promise((done, fail) => {
            const socket = tls.connect({
                host: hostname, port, ca, session: ticket,
                minVersion: "TLSv1.2", ALPNProtocols: ["http/1.1"],
            });
            socket.on("session", (s) => (ticket = s));
            socket.on("error", fail);
            socket.on("secureConnect", () => {
                reused = socket.isSessionReused();
                socket.write("GET /connection HTTP/1.1\r\nhost: x\r\n" +
                             "connection: close\r\n\r\n");
            });
            socket.on("end", () => socket.end());
            socket.on("close", done);
            socket.resume();
        });
    }
    return reused ? "resumed" : "not resumed";
}

const cases = {
    get: (n, piece) => download(`/bytes?n=${n}&length=1`, piece),
    chunked: (n, piece) => download(`/bytes?n=${n}&piece=${piece}`, piece),
    put: (n) => send("/upload", n),
    refuse: (n) => send("/refuse", n),
    async keep(n) {
        const seen = new Set();
        for (let i = 0; i < n; i++) {
            const [status, body] = await ask("GET", "/connection");
            seen.add(`${status} ${body}`);
        }
        return `${[...seen][0].split(" ")[0]} ${seen.size} connection`;
    },
    async idle(ms) {
        const [before] = await ask("GET", "/connection");
        await sleep(ms);
        const [after] = await ask("GET", "/connection");
        return `${before} ${after}`;
    },
    resume,
};

try {
    console.log(await cases[name](...numbers.map(Number)));
    process.exit(0);
} catch (problem) {
    console.log(problem.cause?.code ?? problem.code ?? problem);
    process.exit(1);
}
