#!/usr/bin/env bash
# OkHttp 5.1.0 (JVM, default client): one call of a POST reaches the server twice if a pooled connection closes after
# the server has read the request, if the answer is 503 with `Retry-After: 0`, and if it is 408. The application
# sees one call and its 200. RFC 9110 lets clients repeat only requests that are idempotent by method or known to be; a service
# that records events must accept the same bytes twice, and should send neither a 408 nor a Retry-After of 0.
# `retryOnConnectionFailure(false)` prevents the first and the last, not the second. Runs the pinned package against a local
# server in a temporary folder (Maven, Java 17); fails if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat >pom.xml <<'XML'
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>finding</groupId>
  <artifactId>okhttp</artifactId>
  <version>1</version>
  <dependencies>
    <dependency>
      <groupId>com.squareup.okhttp3</groupId>
      <artifactId>okhttp-jvm</artifactId>
      <version>5.1.0</version>
    </dependency>
  </dependencies>
</project>
XML
mvn -q -B dependency:copy-dependencies -DoutputDirectory=lib >/dev/null
cat >Try.java <<'JAVA'
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.concurrent.atomic.AtomicInteger;
import okhttp3.MediaType;
import okhttp3.OkHttpClient;
import okhttp3.Request;
import okhttp3.RequestBody;
import okhttp3.Response;

public class Try {
  /** How the server answers a request that it has read; null: it closes the connection. */
  interface Answer {
    String to(int requestNumber);
  }

  public static void main(String[] arguments) throws Exception {
    for (boolean retries : new boolean[] {true, false}) {
      System.out.println("retryOnConnectionFailure " + retries);
      attempt("closed after reading", retries, 2, number -> number == 2 ? null : "200 OK\r\n");
      attempt("503, Retry-After: 0", retries, 1,
          number -> number == 1 ? "503 Unavailable\r\nretry-after: 0\r\n" : "200 OK\r\n");
      attempt("408", retries, 1, number -> number == 1 ? "408 Timeout\r\n" : "200 OK\r\n");
    }
    System.exit(0);
  }

  static void attempt(String name, boolean retries, int calls, Answer answer) throws Exception {
    AtomicInteger requests = new AtomicInteger();
    ServerSocket server = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread accepting = new Thread(() -> accept(server, requests, answer));
    accepting.setDaemon(true);
    accepting.start();
    OkHttpClient client = new OkHttpClient.Builder().retryOnConnectionFailure(retries).build();
    Request post = new Request.Builder()
        .url("http://127.0.0.1:" + server.getLocalPort())
        .post(RequestBody.create("view", MediaType.get("text/plain")))
        .build();
    String last = "";
    for (int call = 0; call < calls; call++) {
      try (Response response = client.newCall(post).execute()) {
        last = "" + response.code();
      } catch (IOException error) {
        last = "an error";
      }
    }
    System.out.println("  " + name + ": " + calls + " calls, " + requests + " POSTs, last answer " + last);
    server.close();
  }

  static void accept(ServerSocket server, AtomicInteger requests, Answer answer) {
    try {
      while (true) {
        Socket socket = server.accept();
        new Thread(() -> serve(socket, requests, answer)).start();
      }
    } catch (IOException closed) {
      // The attempt is over.
    }
  }

  static void serve(Socket socket, AtomicInteger requests, Answer answer) {
    try (socket) {
      InputStream in = socket.getInputStream();
      for (StringBuilder head = new StringBuilder(); ; ) {
        int read = in.read();
        if (read < 0) return;
        head.append((char) read);
        if (head.indexOf("\r\n\r\n") < 0) continue;
        in.readNBytes("view".length());
        head.setLength(0);
        String status = answer.to(requests.incrementAndGet());
        if (status == null) return;
        socket.getOutputStream().write(("HTTP/1.1 " + status + "content-length: 0\r\n\r\n").getBytes());
      }
    } catch (IOException gone) {
      // So is the client.
    }
  }
}
JAVA
javac -cp 'lib/*' Try.java
seen=$(timeout 60 java -cp 'lib/*:.' Try)
expected='retryOnConnectionFailure true
  closed after reading: 2 calls, 3 POSTs, last answer 200
  503, Retry-After: 0: 1 calls, 2 POSTs, last answer 200
  408: 1 calls, 2 POSTs, last answer 200
retryOnConnectionFailure false
  closed after reading: 2 calls, 2 POSTs, last answer an error
  503, Retry-After: 0: 1 calls, 2 POSTs, last answer 200
  408: 1 calls, 1 POSTs, last answer 408'
printf '%s\n' "$seen"
[ "$seen" = "$expected" ] || { printf 'changed; expected:\n%s\n' "$expected"; exit 1; }
