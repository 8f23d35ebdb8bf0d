// The Java clients of test/clients/run.
//
// Usage: java Client LIBRARY PROTOCOL URL CASE [number ...]
//
// LIBRARY is HttpClient or HttpURLConnection; PROTOCOL is h1 or h2.  The cases
// and what is printed for them stand in test/clients/run.

import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.CertificateFactory;
import java.time.Duration;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.Set;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

public class Client {
    static final int PERIOD = 65521;
    static final Duration PATIENCE = Duration.ofSeconds(240);

    record Answer(int status, byte[] body) {
        String text() {
            return status + " " + new String(body).strip();
        }

        String digest() throws Exception {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(body);
            return status + " " + body.length + " " +
                HexFormat.of().formatHex(sum);
        }
    }

    interface Asker {
        Answer ask(String method, String path, byte[] body, int piece)
            throws Exception;
    }

    static byte[] text(int n) {
        byte[] all = new byte[n];
        for (int i = 0; i < n; i++) {
            int at = i % PERIOD;
            all[i] = (byte) (at * 7 + at / 251);
        }
        return all;
    }

    static SSLContext context() throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        try (InputStream in = new FileInputStream(System.getenv("LHTTPD_CA"))) {
            store.setCertificateEntry("ca", CertificateFactory
                .getInstance("X.509").generateCertificate(in));
        }
        TrustManagerFactory trust = TrustManagerFactory.getInstance(
            TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    static byte[] readPieces(InputStream in, int piece) throws Exception {
        ByteArrayOutputStream all = new ByteArrayOutputStream();
        byte[] buffer = new byte[piece];
        for (int n; (n = in.read(buffer)) >= 0;)
            all.write(buffer, 0, n);
        return all.toByteArray();
    }

    static Asker httpClient(String url, boolean h2) throws Exception {
        HttpClient client = HttpClient.newBuilder()
            .version(h2 ? HttpClient.Version.HTTP_2
                        : HttpClient.Version.HTTP_1_1)
            .sslContext(context()).connectTimeout(PATIENCE).build();
        return (method, path, body, piece) -> {
            HttpRequest request = HttpRequest.newBuilder(URI.create(url + path))
                .timeout(PATIENCE)
                .method(method, body == null
                    ? HttpRequest.BodyPublishers.noBody()
                    : HttpRequest.BodyPublishers.ofByteArray(body)).build();
            HttpResponse<InputStream> response = client.send(
                request, HttpResponse.BodyHandlers.ofInputStream());
            return new Answer(response.statusCode(),
                              readPieces(response.body(), piece));
        };
    }

    static Asker urlConnection(String url) throws Exception {
        HttpsURLConnection.setDefaultSSLSocketFactory(
            context().getSocketFactory());
        return (method, path, body, piece) -> {
            HttpURLConnection c = (HttpURLConnection) URI.create(url + path)
                .toURL().openConnection();
            c.setRequestMethod(method);
            c.setConnectTimeout((int) PATIENCE.toMillis());
            c.setReadTimeout((int) PATIENCE.toMillis());
            if (body != null) {
                c.setDoOutput(true);
                c.setFixedLengthStreamingMode(body.length);
                c.getOutputStream().write(body);
            }
            int status = c.getResponseCode();
            InputStream in = status < 400 ? c.getInputStream()
                                          : c.getErrorStream();
            return new Answer(status, readPieces(in, piece));
        };
    }

    static String keep(Asker client, int n) throws Exception {
        Set<String> seen = new HashSet<>();
        int status = 0;
        for (int i = 0; i < n; i++) {
            Answer answer = client.ask("GET", "/connection", null, 4096);
            status = answer.status();
            seen.add(answer.text());
        }
        return status + " " + seen.size() + " connection";
    }

    static String idle(Asker client, int ms) throws Exception {
        Answer before = client.ask("GET", "/connection", null, 4096);
        Thread.sleep(ms);
        Answer after = client.ask("GET", "/connection", null, 4096);
        return before.status() + " " + after.status();
    }

    static String run(Asker client, String name, int a, int b)
            throws Exception {
        switch (name) {
        case "get":
            return client.ask("GET", "/bytes?n=" + a + "&length=1", null, b)
                .digest();
        case "chunked":
            return client.ask("GET", "/bytes?n=" + a + "&piece=" + b, null, b)
                .digest();
        case "put":
            return client.ask("POST", "/upload", text(a), 4096).text();
        case "refuse":
            return client.ask("POST", "/refuse", text(a), 4096).text();
        case "keep":
            return keep(client, a);
        case "idle":
            return idle(client, a);
        default:
            throw new IllegalArgumentException("no case " + name);
        }
    }

    public static void main(String[] args) {
        try {
            Asker client = args[0].equals("HttpClient")
                ? httpClient(args[2], args[1].equals("h2"))
                : urlConnection(args[2]);
            int a = args.length > 4 ? Integer.parseInt(args[4]) : 0;
            int b = args.length > 5 ? Integer.parseInt(args[5]) : 4096;
            System.out.println(run(client, args[3], a, b));
            System.exit(0);
        } catch (Exception problem) {
            System.out.println(problem);
            System.exit(1);
        }
    }
}
