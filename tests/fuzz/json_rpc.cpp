// Fuzzes the decoder of frames: it must survive every text, cut out payloads that are JSON objects,
// echo ids that are JSON, and answer rejections with valid JSON. simdjson is the second opinion.
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <variant>

#include "rpc/json_rpc.hpp"
#include "rpc/json_scanner.hpp"

namespace {

using namespace mpr::rpc;

void require(bool holds, const char* what, std::string_view text) {
  if (holds) return;
  std::fprintf(stderr, "%s: %.*s\n", what, static_cast<int>(text.size()), text.data());
  std::abort();
}

bool is_json(std::string_view text) {
  JsonScanner scanner(text);
  RawJson raw;
  return scanner.value(raw) && scanner.at_end();
}

void check_payload(const mpr::AddRequest& add) {
  require(type_of(*add.payload) == JsonType::object && is_json(*add.payload),
          "payload is no JSON object", *add.payload);
  require(!add.connection_id.empty() && add.connection_id.value.size() <= mpr::limits::kIdBytes &&
              simdjson::validate_utf8(add.connection_id.value),
          "connectionId out of bounds", add.connection_id.value);
}

void check(const Request& request) {
  require(request.id.is_notification() || is_json(request.id.raw), "id is no JSON", request.id.raw);
  if (const auto* add = std::get_if<AddMessage>(&request.call)) check_payload(add->request);
  if (const auto* adds = std::get_if<AddMessages>(&request.call)) {
    for (const auto& add : adds->requests) check_payload(add);
  }
}

void check(const Rejected& rejected) {
  std::string answer;
  append_error(answer, rejected.error, rejected.id);
  require(is_json(answer), "answer is no JSON", answer);
}

// Whatever simdjson takes for JSON must not be answered as a parse error, depth apart.
void check_second_opinion(std::string_view text, const Frame& frame) {
  static simdjson::dom::parser parser;
  const bool theirs = parser.parse(simdjson::padded_string(text)).error() == simdjson::SUCCESS;
  if (!theirs || frame.members.empty()) return;
  const auto* rejected = std::get_if<Rejected>(&frame.members.front());
  if (rejected == nullptr || rejected->error.code != -32700) return;
  require(rejected->error.data == "\"nested deeper than 128\"", "JSON was refused", text);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (!simdjson::validate_utf8(text)) return 0;  // the WebSocket layer refuses it
  static const Decoder decoder(Decoder::Limits{.max_message_bytes = 4096});
  const Frame frame = decoder.decode(text);
  for (const auto& member : frame.members) {
    std::visit([](const auto& one) { check(one); }, member);
  }
  check_second_opinion(text, frame);
  return 0;
}
