#include "net/websocket/handshake.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace mpr::websocket {
namespace {

using Fields = std::map<std::string, std::string>;

const Fields kGood = {{"Host", "localhost:3100"},
                      {"Upgrade", "websocket"},
                      {"Connection", "Upgrade"},
                      {"Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="},
                      {"Sec-WebSocket-Version", "13"}};

std::string request(const Fields& fields, const std::string& start = "GET / HTTP/1.1") {
  std::string text = start + "\r\n";
  for (const auto& [name, value] : fields) text += name + ": " + value + "\r\n";
  return text + "\r\n";
}

std::variant<Upgrade, Refusal> answer(const std::string& text) {
  return answer_upgrade(parse_request_head(text).value());
}

Fields with(const std::string& name, const std::string& value) {
  Fields fields = kGood;
  fields[name] = value;
  return fields;
}

Fields without(const std::string& name) {
  Fields fields = kGood;
  fields.erase(name);
  return fields;
}

TEST(Handshake, ComputesTheAcceptValueOfTheStandard) {
  EXPECT_EQ(accept_value("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST(Handshake, AcceptsAnyPathQueryAndOriginAndBothVersions) {
  const std::string expected =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
  for (const std::string& text :
       {request(kGood), request(kGood, "GET /any/path?x=1 HTTP/1.1"),
        request(with("Origin", "https://elsewhere.example")),
        request(with("Sec-WebSocket-Version", "8")), request(with("Upgrade", "WebSocket")),
        request(with("Connection", "keep-alive, Upgrade")),
        request(with("Sec-WebSocket-Extensions", "permessage-deflate"))}) {
    const auto outcome = answer(text);
    ASSERT_TRUE(std::holds_alternative<Upgrade>(outcome)) << text;
    EXPECT_EQ(std::get<Upgrade>(outcome).response, expected);
  }
}

TEST(Handshake, EchoesTheFirstOfferedProtocol) {
  const auto response = [](const std::string& offered) {
    return std::get<Upgrade>(answer(request(with("Sec-WebSocket-Protocol", offered)))).response;
  };
  EXPECT_NE(response("jsonrpc, other").find("\r\nSec-WebSocket-Protocol: jsonrpc\r\n"),
            std::string::npos);
  EXPECT_EQ(response(", other").find("Sec-WebSocket-Protocol"), std::string::npos);
}

TEST(Handshake, ReadsTheNameOfTheClientAndTheToken) {
  const auto read = [](const std::string& target, const std::string& authorization) {
    const auto upgrade = std::get<Upgrade>(
        answer(request(with("Authorization", authorization), "GET " + target + " HTTP/1.1")));
    return upgrade.client_name + "|" + upgrade.bearer_token;
  };
  EXPECT_EQ(read("/?socket_id=instance-7", "Bearer secret"), "instance-7|secret");
  EXPECT_EQ(read("/?a=b&socket_id=x&socket_id=y", "bearer  t"), "x| t");
  EXPECT_EQ(read("/?socket_id=<b>\"$(x)", "Basic abc"), "b$x|");
  EXPECT_EQ(read("/?socket_id=" + std::string(500, 'n'), "Bearer"), std::string(64, 'n') + "|");
  EXPECT_EQ(read("/", "Bearer a"), "|a");
}

TEST(Handshake, RefusesWithTheStatusThatFits) {
  const auto status = [](const std::string& text) {
    const auto outcome = answer(text);
    const auto* refusal = std::get_if<Refusal>(&outcome);
    if (refusal == nullptr) return 101;
    EXPECT_TRUE(refusal->response.starts_with("HTTP/1.1 " + std::to_string(refusal->status)));
    EXPECT_TRUE(refusal->response.ends_with(refusal->reason + "\n"));
    return refusal->status;
  };
  EXPECT_EQ(status(request(kGood, "POST / HTTP/1.1")), 405);
  EXPECT_EQ(status(request(kGood, "GET / HTTP/1.0")), 400);
  EXPECT_EQ(status(request(without("Host"))), 400);
  EXPECT_EQ(status(request(without("Upgrade"))), 426);
  EXPECT_EQ(status(request(without("Connection"))), 426);
  EXPECT_EQ(status(request(with("Upgrade", "h2c"))), 426);
  EXPECT_EQ(status(request(without("Sec-WebSocket-Version"))), 426);
  EXPECT_EQ(status(request(with("Sec-WebSocket-Version", "12"))), 426);
  EXPECT_EQ(status(request(without("Sec-WebSocket-Key"))), 400);
  EXPECT_EQ(status(request(with("Sec-WebSocket-Key", "short=="))), 400);
  EXPECT_EQ(status(request(with("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=x"))), 400);
  EXPECT_EQ(status(request(with("Sec-WebSocket-Key", "dGhlIHNhb*BsZSBub25jZQ=="))), 400);
}

TEST(Handshake, NamesTheVersionsItSpeaks) {
  const auto outcome = answer(request(with("Sec-WebSocket-Version", "12")));
  EXPECT_NE(std::get<Refusal>(outcome).response.find("\r\nSec-WebSocket-Version: 13, 8\r\n"),
            std::string::npos);
}

TEST(Handshake, OfAClientIsAcceptedByTheServer) {
  const std::string key = make_client_key();
  EXPECT_NE(key, make_client_key());
  const auto outcome = answer(client_request("localhost:3100", "/?socket_id=a", key, "secret"));
  ASSERT_TRUE(std::holds_alternative<Upgrade>(outcome));
  EXPECT_EQ(std::get<Upgrade>(outcome).bearer_token, "secret");
  const auto head = parse_response_head(std::get<Upgrade>(outcome).response);
  ASSERT_TRUE(head.has_value());
  EXPECT_TRUE(check_server_response(*head, key).has_value());
}

TEST(Handshake, OfAClientRefusesAWrongAnswer) {
  const auto reason = [](const std::string& response) {
    const auto checked =
        check_server_response(parse_response_head(response).value(), "dGhlIHNhbXBsZSBub25jZQ==");
    return checked ? "" : checked.error().context;
  };
  const std::string kUpgrade = "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  const std::string kAccept = "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
  EXPECT_EQ(reason(kUpgrade + kAccept + "\r\n"), "");
  EXPECT_EQ(reason("HTTP/1.1 503 x\r\n\r\n"),
            "the WebSocket handshake failed: the server answered 503");
  EXPECT_EQ(reason("HTTP/1.1 101 x\r\n" + kAccept + "\r\n"),
            "the WebSocket handshake failed: the server did not upgrade");
  EXPECT_EQ(reason(kUpgrade + "Sec-WebSocket-Accept: x\r\n\r\n"),
            "the WebSocket handshake failed: Sec-WebSocket-Accept is wrong");
  EXPECT_EQ(reason(kUpgrade + kAccept + "Sec-WebSocket-Extensions: x\r\n\r\n"),
            "the WebSocket handshake failed: the server chose an extension that was not offered");
}

TEST(HttpHead, IsFoundWhereverItIsCut) {
  const std::string text = request(kGood) + "behind";
  const std::size_t size = text.size() - 6;
  for (std::size_t cut = 0; cut < text.size(); ++cut) {
    EXPECT_EQ(http_head_bytes(std::string_view(text).substr(0, cut), 0), cut < size ? 0 : size);
    EXPECT_EQ(http_head_bytes(text, std::min(cut, size - 1)), size) << "searched " << cut;
  }
}

TEST(HttpHead, IsRefusedWhenMalformed) {
  for (const char* text :
       {"\r\n\r\n", "GET\r\n\r\n", "GET / HTTP/2.0\r\n\r\n", "GET / HTTP/1.1\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nA: \x01\r\n\r\n", "\x16\x03\x01\r\n\r\n",
        "GET / HTTP/1.1\r\n A: folded first\r\n\r\n"}) {
    const auto head = parse_request_head(text);
    ASSERT_FALSE(head.has_value()) << text;
    EXPECT_EQ(head.error().code, Errc::invalid_argument);
  }
}

}  // namespace
}  // namespace mpr::websocket
