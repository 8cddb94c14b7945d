import java.sql.*;

/** What test_hold_pg.py asks of pgjdbc: statements that wait for an approval. Says one line for each. */
public class PgHeld {
  static int insert(Connection connection, String mark, int limit) throws SQLException {
    try (PreparedStatement statement = connection.prepareStatement("INSERT INTO marks(mark) VALUES (?)")) {
      statement.setQueryTimeout(limit);
      statement.setString(1, mark);
      int rows = statement.executeUpdate();
      for (SQLWarning w = statement.getWarnings(); w != null; w = w.getNextWarning()) System.out.println("said " + w.getMessage());
      return rows;
    }
  }

  public static void main(String[] args) throws Exception {
    try (Connection connection = DriverManager.getConnection(args[0], args[1], System.getenv("PGPASSWORD"))) {
      System.out.println("inserted " + insert(connection, args[2] + "-yes", 0));
      try {
        insert(connection, args[2] + "-no", 0);
      } catch (SQLException e) {
        System.out.println("refused " + e.getSQLState() + " " + e.getMessage());
      }
      try {
        insert(connection, args[2] + "-late", 3);
      } catch (SQLException e) {
        System.out.println("late " + e.getSQLState());
      }
      try (ResultSet set = connection.createStatement().executeQuery("SELECT 7")) {
        set.next();
        System.out.println("after " + set.getInt(1));
      }
    }
  }
}
