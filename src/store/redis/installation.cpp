#include "store/redis/installation.hpp"

#include <utility>

namespace mpr::redis {

Task<Result<std::optional<Installation>>> read_installation(Client& client, Keys keys,
                                                            Deadline deadline) {
  const std::string key = keys.of_installation("meta");
  Request request(key);
  request.add({"HMGET", key, "format", "partitions"}, Repeat::safe);
  const auto answer = co_await client.run_one(std::move(request), deadline);
  if (!answer) co_return std::unexpected(answer.error().error);
  if (answer->is_error()) co_return std::unexpected(error_of(*answer));
  if (!answer->is_array() || answer->items.size() != 2) {
    co_return fail(Errc::internal, "Redis answered something unexpected about the installation");
  }
  if (answer->items[0].is_null() || answer->items[1].is_null())
    co_return std::optional<Installation>();
  co_return Installation{answer->items[0].text, answer->items[1].text};
}

Result<void> check_installation(const Installation& installation, const Keys& keys) {
  const std::string data = "the data in Redis under the prefix \"" + keys.prefix() + "\" ";
  if (installation.format != kInstallationFormat) {
    return fail(Errc::invalid_argument, data + "has format " + installation.format +
                                            ", this program reads format " +
                                            std::string(kInstallationFormat));
  }
  if (installation.partitions != std::to_string(keys.partitions())) {
    return fail(Errc::invalid_argument, data + "is kept in " + installation.partitions +
                                            " partitions, this gateway is configured for " +
                                            std::to_string(keys.partitions()) +
                                            ": the number cannot be changed");
  }
  return {};
}

Task<Result<bool>> restore_installation(Client& client, Keys keys, Deadline deadline) {
  const auto there = co_await read_installation(client, keys, deadline);
  if (!there) co_return std::unexpected(there.error());
  if (*there) co_return false;
  const std::string key = keys.of_installation("meta");
  const std::string partitions = std::to_string(keys.partitions());
  Request request(key);
  request.add({"HSETNX", key, "partitions", partitions}, Repeat::safe);
  request.add({"HSETNX", key, "format", kInstallationFormat}, Repeat::safe);
  const auto answers = co_await client.run(std::move(request), deadline);
  if (!answers) co_return std::unexpected(answers.error().error);
  for (const Value& answer : *answers) {
    if (answer.is_error()) co_return std::unexpected(error_of(answer));
  }
  co_return true;
}

}  // namespace mpr::redis
