// As websocket_client.py, by node's ws.
const WebSocket = require("ws");

const COUNT = 10000;

function message(i) {
    const n = i % 100 ? 1 + i % 500
        : Math.max(1, Math.floor(i * (1 << 20) / (COUNT - 100)));
    const part = `${i}:`;
    return part.repeat(Math.ceil(n / part.length)).slice(0, n);
}

const ws = new WebSocket(process.argv[2], { rejectUnauthorized: false });
let heard = 0, whole = 0, said = 0;

function say() {
    while (said < COUNT && ws.bufferedAmount < 1 << 20) {
        ws.send(message(said), { binary: said % 2 === 0 });
        said++;
    }
}

ws.on("open", say);
ws.on("message", (data, binary) => {
    whole += data.toString() === message(heard) && binary === (heard % 2 === 0);
    heard++;
    say();
    if (heard === COUNT) ws.close(1000);
});
ws.on("close", (code) => console.log(code === 1000 ? `${whole} whole` : code));
