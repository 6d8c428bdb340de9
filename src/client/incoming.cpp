#include "client/incoming.hpp"

#include <simdjson.h>

#include <optional>
#include <string>

namespace mpr::client {
namespace {

constexpr std::string_view kResultHead = R"({"jsonrpc":"2.0","result":)";
constexpr std::string_view kIdHead = R"(,"id":)";
constexpr std::string_view kEventHead = R"({"jsonrpc":"2.0","method":")";
constexpr std::string_view kParamsHead = R"(","params":)";

// {"jsonrpc":"2.0","result":RESULT,"id":DIGITS}. In valid JSON a text that ends like this has its
// id at the top level: inside a string the quotes would be escaped, inside an object the last brace
// would be missing.
std::optional<Incoming> read_usual_result(std::string_view frame) {
  if (!frame.starts_with(kResultHead) || !frame.ends_with('}')) return std::nullopt;
  std::size_t digits = frame.size() - 1;
  std::uint64_t id = 0;
  std::uint64_t weight = 1;
  while (frame[digits - 1] >= '0' && frame[digits - 1] <= '9' && frame.size() - digits < 18) {
    --digits;
    id += weight * static_cast<std::uint64_t>(frame[digits] - '0');
    weight *= 10;
  }
  if (weight == 1 || digits < kResultHead.size() + kIdHead.size()) return std::nullopt;
  const std::size_t end = digits - kIdHead.size();
  if (frame.substr(end, kIdHead.size()) != kIdHead) return std::nullopt;
  return Incoming{
      Incoming::Kind::result, id, {}, frame.substr(kResultHead.size(), end - kResultHead.size())};
}

// {"jsonrpc":"2.0","method":"NAME","params":PARAMS} with nothing behind the params, as the service
// sends its events.
std::optional<Incoming> read_usual_event(std::string_view frame) {
  if (!frame.starts_with(kEventHead) || !frame.ends_with("}}")) return std::nullopt;
  const std::size_t name_end = frame.find('"', kEventHead.size());
  if (name_end == std::string_view::npos || !frame.substr(name_end).starts_with(kParamsHead)) {
    return std::nullopt;
  }
  const std::string_view name = frame.substr(kEventHead.size(), name_end - kEventHead.size());
  const std::size_t params = name_end + kParamsHead.size();
  if (name.find('\\') != std::string_view::npos || frame[params] != '{') return std::nullopt;
  return Incoming{Incoming::Kind::event, 0, name, frame.substr(params, frame.size() - 1 - params)};
}

std::unexpected<Error> unreadable(std::string_view frame) {
  return fail(Errc::internal, "the server sent neither an answer nor an event: " +
                                  std::string(frame.substr(0, 120)));
}

}  // namespace

struct IncomingReader::Parser {
  simdjson::ondemand::parser json;
  simdjson::padded_string text;
};

IncomingReader::IncomingReader() : parser_(std::make_unique<Parser>()) {}
IncomingReader::~IncomingReader() = default;

Result<Incoming> IncomingReader::read(std::string_view frame) {
  if (const auto result = read_usual_result(frame)) return *result;
  if (const auto event = read_usual_event(frame)) return *event;
  return read_any_shape(frame);
}

Result<Incoming> IncomingReader::read_any_shape(std::string_view frame) {
  namespace od = simdjson::ondemand;
  parser_->text = simdjson::padded_string(frame);
  od::document document;
  od::object members;
  if (parser_->json.iterate(parser_->text).get(document) != simdjson::SUCCESS ||
      document.get_object().get(members) != simdjson::SUCCESS) {
    return unreadable(frame);
  }
  Incoming incoming;
  bool has_id = false;
  bool has_text = false;
  for (auto member : members) {
    std::string_view key;
    od::value value;
    if (member.unescaped_key().get(key) != simdjson::SUCCESS ||
        member.value().get(value) != simdjson::SUCCESS) {
      return unreadable(frame);
    }
    if (key == "id") {
      has_id = value.get_uint64().get(incoming.id) == simdjson::SUCCESS;
    } else if (key == "method") {
      if (value.get_string().get(incoming.method) != simdjson::SUCCESS) return unreadable(frame);
    } else if (key == "result" || key == "error" || key == "params") {
      has_text = simdjson::to_json_string(value).get(incoming.text) == simdjson::SUCCESS;
      if (key == "error") incoming.kind = Incoming::Kind::error;
    }
  }
  if (!incoming.method.empty()) incoming.kind = Incoming::Kind::event;
  const bool complete = incoming.kind == Incoming::Kind::event ? !has_id : has_id && has_text;
  if (!complete) return unreadable(frame);
  return incoming;
}

}  // namespace mpr::client
