import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.configuration.CoreOptions;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;
import org.apache.flink.table.api.TableResult;

/** Runs the statements of a file of SQL in a Flink of its own, until it is stopped. */
public class RunSql {
  public static void main(String[] arguments) throws Exception {
    Configuration configuration = new Configuration();
    configuration.set(CoreOptions.DEFAULT_PARALLELISM, 2);
    TableEnvironment tables =
        TableEnvironment.create(
            EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
    TableResult last = null;
    for (String statement : Files.readString(Path.of(arguments[0])).split(";\\s*\\n")) {
      if (statement.isBlank()) continue;
      if (statement.strip().startsWith("SET ")) {
        String[] setting = statement.strip().substring(4).replace("'", "").split("=");
        tables.getConfig().set(setting[0].strip(), setting[1].strip());
      } else last = tables.executeSql(statement);
    }
    System.out.println("running");
    last.await();
  }
}
