// JSON-RPC 2.0 over text frames, without I/O: decodes a frame into calls and rejections, and writes
// answers. Field names and the mapping of errors stand in wire.hpp.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rpc/calls.hpp"

namespace mpr::rpc {

// An error object of the protocol. `data` is raw JSON; empty: absent.
struct RpcError {
  int code = 0;
  std::string message;
  std::string data;

  bool operator==(const RpcError&) const = default;
};

// A request that is answered without being executed. id.raw is "null" when there is no id or it
// could not be read: envelope errors are answered all the same. Bad params of a notification are
// not (then the decoder leaves the rejection out of the frame but counts it in Frame::dropped).
struct Rejected {
  RequestId id;
  RpcError error;
};

struct Request {
  RequestId id;
  Call call;
};

struct Frame {
  bool batch = false;
  std::vector<std::variant<Request, Rejected>> members;  // one if not a batch
  std::size_t dropped = 0;
};

// Decodes frames. Stateless once built: any thread may call. JSON is checked by a scanner of our
// own (json_scanner.hpp), which needs no readable bytes behind the text.
class Decoder {
 public:
  struct Limits {
    std::size_t max_message_bytes = 16u << 20;  // payload of one message
  };
  explicit Decoder(Limits limits) : limits_(limits) {}

  // Never fails: what is no JSON-RPC comes back as a rejection. `text` is valid UTF-8; nothing in
  // the outcome refers to it.
  Frame decode(std::string_view text) const;

 private:
  const Limits limits_;
};

// Appends {"jsonrpc":"2.0","result":RESULT,"id":ID}; `result` is raw JSON.
void append_result(std::string& out, std::string_view result, const RequestId& id);
// Appends {"jsonrpc":"2.0","error":{"code":..,"message":..,"data":..},"id":ID}.
void append_error(std::string& out, const RpcError& error, const RequestId& id);

}  // namespace mpr::rpc
