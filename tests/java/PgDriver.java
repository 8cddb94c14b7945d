import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

/** What test_pg_drivers.py asks of a driver, by pgjdbc: one line "key<TAB>value" for each question. */
public class PgDriver {
  static Connection open(String url, Properties with, String more) throws SQLException {
    Properties all = new Properties();
    all.putAll(with);
    for (String pair : more.split("&")) {
      if (!pair.isEmpty()) all.setProperty(pair.split("=")[0], pair.split("=")[1]);
    }
    return DriverManager.getConnection(url, all);
  }

  static String rows(ResultSet set) throws SQLException {
    StringBuilder out = new StringBuilder();
    int width = set.getMetaData().getColumnCount();
    while (set.next()) {
      for (int i = 1; i <= width; i++) out.append(i > 1 ? "|" : "").append(shown(set, i));
      out.append(";");
    }
    return out.toString();
  }

  static String shown(ResultSet set, int i) throws SQLException {
    if (set.getMetaData().getColumnType(i) != Types.BINARY) return set.getString(i);
    byte[] bytes = set.getBytes(i);
    return bytes == null ? "null" : HexFormat.of().formatHex(bytes);
  }

  static void say(String key, String value) {
    System.out.println(key + "\t" + value.replace("\n", "\\n").replace("\t", "\\t"));
  }

  public static void main(String[] args) throws Exception {
    Properties with = new Properties();
    with.setProperty("user", args[1]);
    with.setProperty("password", System.getenv("PGPASSWORD"));
    String url = args[0];
    try (Connection c = open(url, with, "preferQueryMode=simple"); Statement s = c.createStatement()) {
      say("simple", rows(s.executeQuery("SELECT id, label, qty, price FROM items WHERE id <= 3 ORDER BY id")));
      say("masked", rows(s.executeQuery("SELECT id, card_number, cvv FROM cards ORDER BY id")));
    }
    try (Connection c = open(url, with, "prepareThreshold=1&binaryTransfer=false")) {
      StringBuilder out = new StringBuilder();
      try (PreparedStatement p = c.prepareStatement("SELECT label, made FROM items WHERE id = ?")) {
        for (int i = 1; i <= 8; i++) {
          p.setInt(1, i);
          out.append(rows(p.executeQuery()));
        }
      }
      say("prepared", out.toString());
    }
    try (Connection c = open(url, with, "prepareThreshold=-1&binaryTransfer=true");
         PreparedStatement p = c.prepareStatement("SELECT id, qty, price, made, raw, big FROM items WHERE id <= ? ORDER BY id")) {
      p.setInt(1, 5);
      say("binary", rows(p.executeQuery()));
    }
    try (Connection c = open(url, with, "reWriteBatchedInserts=true")) {
      c.setAutoCommit(false);
      try (PreparedStatement p = c.prepareStatement("INSERT INTO written(id, t) VALUES (?, ?)")) {
        for (int i = 0; i < 50; i++) {
          p.setInt(1, 1000 + i);
          p.setString(2, "row " + i);
          p.addBatch();
        }
        int[] counts = p.executeBatch();
        say("batch", counts.length + "");
      }
      try (Statement s = c.createStatement()) {
        say("batch_read", rows(s.executeQuery("SELECT count(*), min(id), max(t) FROM written WHERE id >= 1000")));
      }
      c.rollback();
    }
    try (Connection c = open(url, with, "")) {
      CopyManager copy = c.unwrap(PGConnection.class).getCopyAPI();
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      copy.copyOut("COPY (SELECT id, label FROM items WHERE id <= 20 ORDER BY id) TO STDOUT (FORMAT csv)", bytes);
      say("copy_out", bytes.toString("UTF-8"));
      c.setAutoCommit(false);
      long n = copy.copyIn("COPY written(id, t) FROM STDIN", new StringReader("2001\tone\n2002\ttwo\n"));
      try (Statement s = c.createStatement()) {
        say("copy_in", n + " " + rows(s.executeQuery("SELECT id, t FROM written WHERE id > 2000 ORDER BY id")));
      }
      c.rollback();
    }
    try (Connection c = open(url, with, ""); Statement s = c.createStatement()) {
      Timer timer = new Timer(true);
      timer.schedule(new TimerTask() {
        public void run() {
          try { s.cancel(); } catch (SQLException e) { }
        }
      }, 400);
      long begin = System.nanoTime();
      try {
        s.executeQuery("SELECT pg_sleep(20)");
        say("cancel", "not cancelled");
      } catch (SQLException e) {
        say("cancel", e.getSQLState() + ((System.nanoTime() - begin) < 10_000_000_000L ? " soon" : " late"));
      }
      say("cancel_after", rows(s.executeQuery("SELECT 1")));
    }
    try (Connection c = open(url, with, "")) {
      c.setAutoCommit(false);
      try (Statement s = c.createStatement()) {
        s.setFetchSize(500);
        long sum = 0, n = 0;
        try (ResultSet r = s.executeQuery("SELECT id, label FROM items ORDER BY id")) {
          while (r.next()) { sum += r.getInt(1) + r.getString(2).length(); n++; }
        }
        try (ResultSet r = s.executeQuery("SELECT repeat('x', 3000000)")) {
          r.next();
          say("large", n + " " + sum + " " + r.getString(1).length());
        }
      }
      c.commit();
      List<String> said = new ArrayList<>();
      try (Statement s = c.createStatement()) {
        s.executeUpdate("INSERT INTO written(id, t) VALUES (3001, 'a')");
        Savepoint point = c.setSavepoint();
        try { s.executeQuery("SELECT 1/0"); } catch (SQLException e) { said.add(e.getSQLState()); }
        try { s.executeQuery("SELECT 1"); } catch (SQLException e) { said.add(e.getSQLState()); }
        c.rollback(point);
        said.add(rows(s.executeQuery("SELECT id, t FROM written WHERE id = 3001")));
        c.rollback();
        said.add(rows(s.executeQuery("SELECT count(*) FROM written WHERE id = 3001")));
      }
      c.rollback();
      say("tx_error", said.toString());
    }
  }
}
