// How tests write down what a decoder made of a frame, on one line.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "rpc/json_rpc.hpp"

namespace mpr::rpc {

inline std::string render(const Request& request) {
  return "call " + std::to_string(request.call.index()) + " id " + request.id.raw;
}

// A rejection as it goes out, or "call N id ID" with the variant's index.
inline std::string render(const std::variant<Request, Rejected>& member) {
  if (const auto* request = std::get_if<Request>(&member)) return render(*request);
  const auto& rejected = std::get<Rejected>(member);
  std::string out;
  append_error(out, rejected.error, rejected.id);
  return out;
}

// Members separated by commas, in brackets if the frame is a batch.
inline std::string render(const Frame& frame) {
  std::string out;
  for (const auto& member : frame.members) {
    if (!out.empty()) out += ",";
    out += render(member);
  }
  return frame.batch ? "[" + out + "]" : out;
}

inline std::string decoded(std::string_view text) {
  return render(Decoder(Decoder::Limits{}).decode(text));
}

// The details of a lone -32602 answer with id 1, or the whole answer if it is anything else.
inline std::string refusal(std::string_view method, std::string_view params) {
  static constexpr std::string_view kHead =
      R"({"jsonrpc":"2.0","error":{"code":-32602,"message":"Invalid params","data":{"details":")";
  static constexpr std::string_view kTail = R"("}},"id":1})";
  const std::string answer = decoded(R"({"jsonrpc":"2.0","method":")" + std::string(method) +
                                     R"(","params":)" + std::string(params) + R"(,"id":1})");
  if (!answer.starts_with(kHead) || !answer.ends_with(kTail)) return answer;
  return answer.substr(kHead.size(), answer.size() - kHead.size() - kTail.size());
}

}  // namespace mpr::rpc
