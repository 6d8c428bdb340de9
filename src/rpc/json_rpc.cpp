#include "rpc/json_rpc.hpp"

#include <optional>
#include <utility>

#include "rpc/call_decoder.hpp"
#include "rpc/json_scanner.hpp"
#include "rpc/wire.hpp"

namespace mpr::rpc {

namespace {

// The members of a request as raw JSON. Of a member given twice the last one counts.
struct Envelope {
  RawJson version, method, id;
  RawParams params;
  bool has_members = false;  // an object, or an array, which is an object without them
};

RpcError invalid_request(std::string data) {
  RpcError error{.code = -32600, .message = "Invalid Request", .data = {}};
  append_json_string(error.data, data);
  return error;
}

RpcError parse_error(std::string_view problem) {
  RpcError error{.code = -32700, .message = "Parse error", .data = {}};
  append_json_string(error.data, problem);
  return error;
}

bool scan_params(JsonScanner& scanner, RawParams& params) {
  if (scanner.peek() != '{') {
    params.members = {};
    return scanner.value(params.raw);
  }
  const char* const start = scanner.at();
  if (!params.members.scan(scanner)) return false;
  params.raw = RawJson(start, static_cast<std::size_t>(scanner.at() - start));
  return true;
}

bool scan_request(JsonScanner& scanner, Envelope& envelope) {
  const char first = scanner.peek();
  RawJson ignored;
  envelope.has_members = first == '{' || first == '[';
  if (first != '{') return scanner.value(ignored);
  std::string unescaped;
  return scanner.object([&](std::string_view name) {
    name = plain_name(name, unescaped);
    if (name == "params") return scan_params(scanner, envelope.params);
    if (name == "jsonrpc") return scanner.value(envelope.version);
    if (name == "method") return scanner.value(envelope.method);
    if (name == "id") return scanner.value(envelope.id);
    return scanner.value(ignored);
  });
}

// nullopt: not a type that an id may have. Without an id, and with null, it is a notification.
std::optional<RequestId> read_id(RawJson raw) {
  switch (type_of(raw)) {
    case JsonType::absent:
    case JsonType::null:
      return RequestId{};
    case JsonType::string:
      if (!unescape(raw)) return std::nullopt;
      break;
    case JsonType::number:
      break;
    default:
      return std::nullopt;
  }
  if (raw.size() > limits::kRequestIdBytes) return std::nullopt;
  return RequestId{std::string(raw)};
}

// What JavaScript takes for false, which the service before this one did with method and params.
bool is_falsy(RawJson raw) {
  switch (type_of(raw)) {
    case JsonType::absent:
    case JsonType::null:
      return true;
    case JsonType::boolean:
      return raw == "false";
    case JsonType::string:
      return raw.size() == 2;
    case JsonType::number:
      return whole_number(raw) == 0;
    default:
      return false;
  }
}

// What is wrong with the envelope, as far as it can be told without knowing the method.
std::optional<RpcError> envelope_error(const Envelope& envelope) {
  if (type_of(envelope.version) != JsonType::string || unescape(envelope.version) != "2.0") {
    return invalid_request("Invalid JSON RPC version");
  }
  if (is_falsy(envelope.method)) {
    return RpcError{
        .code = -32602, .message = "Invalid params", .data = "\"Method not specified\""};
  }
  if (type_of(envelope.method) != JsonType::string || !unescape(envelope.method)) {
    return invalid_request("Invalid method name");
  }
  if (type_of(envelope.params.raw) == JsonType::string && !is_falsy(envelope.params.raw)) {
    return invalid_request("params: must be an object or an array");
  }
  return std::nullopt;
}

// The same, knowing the method.
std::optional<RpcError> method_error(std::string_view method, const Envelope& envelope) {
  if (find_call_decoder(method) == nullptr) {
    return RpcError{.code = -32601, .message = "Method not found", .data = {}};
  }
  if (!is_falsy(envelope.params.raw)) return std::nullopt;
  if (method == "rpc.on" || method == "rpc.off") {
    return RpcError{.code = -32000, .message = "Event not provided", .data = {}};
  }
  if (method == "rpc.login") {
    return RpcError{.code = -32604, .message = "Params not found", .data = {}};
  }
  return std::nullopt;
}

Rejected rejected(RequestId id, RpcError error) {
  if (id.is_notification()) id.raw = "null";
  return Rejected{std::move(id), std::move(error)};
}

void decode_request(const Envelope& envelope, CallDecoder::Bounds bounds, Frame& frame) {
  const auto reject = [&frame](RequestId id, RpcError error) {
    frame.members.emplace_back(rejected(std::move(id), std::move(error)));
  };
  if (!envelope.has_members) return reject({}, invalid_request("a request must be an object"));
  auto id = read_id(envelope.id);
  if (!id)
    return reject({}, invalid_request("id: must be a string or a number of at most 1024 bytes"));
  if (auto error = envelope_error(envelope)) return reject(std::move(*id), std::move(*error));
  const std::string method = unescape(envelope.method).value_or(std::string());
  if (auto error = method_error(method, envelope)) return reject(std::move(*id), std::move(*error));
  auto call = find_call_decoder(method)->decode(envelope.params, bounds);
  if (call) {
    frame.members.emplace_back(Request{std::move(*id), std::move(*call)});
  } else if (id->is_notification()) {
    ++frame.dropped;
  } else {
    reject(std::move(*id), to_rpc_error(call.error()));
  }
}

Frame rejected_frame(RpcError error) {
  Frame frame;
  frame.members.emplace_back(rejected({}, std::move(error)));
  return frame;
}

}  // namespace

static_assert(limits::kRequestIdBytes == 1024, "a text above names the bound");
static_assert(limits::kBatchMembers == 10'000, "a text below names the bound");

Frame Decoder::decode(std::string_view text) const {
  JsonScanner scanner(text);
  Frame frame;
  frame.batch = scanner.peek() == '[';
  const CallDecoder::Bounds bounds{.max_message_bytes = limits_.max_message_bytes};
  std::size_t count = 0;
  const auto request = [&] {
    Envelope envelope;
    if (!scan_request(scanner, envelope)) return false;
    if (++count <= limits::kBatchMembers) decode_request(envelope, bounds, frame);
    return true;
  };
  const bool passed = frame.batch ? scanner.array(request) : request();
  if (!passed || !scanner.at_end()) return rejected_frame(parse_error(scanner.problem()));
  if (count == 0) return rejected_frame(invalid_request("Invalid array"));
  if (count > limits::kBatchMembers) {
    return rejected_frame(invalid_request("Invalid array: more than 10000 members"));
  }
  return frame;
}

void append_result(std::string& out, std::string_view result, const RequestId& id) {
  out += R"({"jsonrpc":"2.0","result":)";
  out += result;
  out += R"(,"id":)";
  out += id.is_notification() ? "null" : id.raw;
  out += '}';
}

void append_error(std::string& out, const RpcError& error, const RequestId& id) {
  out += R"({"jsonrpc":"2.0","error":{"code":)";
  out += std::to_string(error.code);
  out += R"(,"message":)";
  append_json_string(out, error.message);
  if (!error.data.empty()) {
    out += R"(,"data":)";
    out += error.data;
  }
  out += R"(},"id":)";
  out += id.is_notification() ? "null" : id.raw;
  out += '}';
}

}  // namespace mpr::rpc
