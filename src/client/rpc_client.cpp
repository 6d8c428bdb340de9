#include "client/rpc_client.hpp"

#include "client/connection.hpp"

namespace mpr::client {

RpcClient::RpcClient(boost::asio::io_context& io, Options options)
    : connection_(std::make_shared<Connection>(io, std::move(options))) {}

RpcClient::~RpcClient() { connection_->abandon(); }

void RpcClient::on_event(EventHandler handler) { connection_->set_on_event(std::move(handler)); }
void RpcClient::on_close(CloseHandler handler) { connection_->set_on_close(std::move(handler)); }

void RpcClient::connect(const Url& url, ConnectHandler done) {
  connection_->connect(url, std::move(done));
}
bool RpcClient::open() const noexcept { return connection_->open(); }
bool RpcClient::certificate_refused() const noexcept { return connection_->certificate_refused(); }

void RpcClient::call(std::string_view method, std::string_view params, AnswerHandler done) {
  connection_->call(method, params, std::move(done));
}
std::size_t RpcClient::unanswered() const noexcept { return connection_->unanswered(); }

void RpcClient::close() { connection_->close(); }

}  // namespace mpr::client
