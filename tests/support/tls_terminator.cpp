#include "tests/support/tls_terminator.hpp"

#include <array>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>

namespace mpr::test {
namespace {

namespace asio = boost::asio;
namespace ssl = boost::asio::ssl;
using Tcp = asio::ip::tcp;
using boost::system::error_code;

ssl::context context_of(const Identity& identity, const std::string& clients_authority) {
  ssl::context context(ssl::context::tls_server);
  context.use_certificate_chain_file(identity.certificate_file);
  context.use_private_key_file(identity.key_file, ssl::context::pem);
  if (!clients_authority.empty()) {
    context.load_verify_file(clients_authority);
    context.set_verify_mode(ssl::verify_peer | ssl::verify_fail_if_no_peer_cert);
  }
  return context;
}

}  // namespace

// One connection, both halves.
class TlsTerminator::Passage : public std::enable_shared_from_this<Passage> {
 public:
  Passage(asio::io_context& io, Tcp::socket socket, ssl::context context)
      : context_(std::move(context)), outside_(std::move(socket), context_), inside_(io) {}

  template <class Secured>
  void secure(Secured secured) {
    outside_.async_handshake(
        ssl::stream_base::server,
        [self = shared_from_this(), secured = std::move(secured)](const error_code& error) {
          if (error) return self->close();
          const char* name =
              ::SSL_get_servername(self->outside_.native_handle(), TLSEXT_NAMETYPE_host_name);
          secured(name ? name : "");
        });
  }
  void join(std::uint16_t port) {
    inside_.async_connect(Tcp::endpoint(asio::ip::address_v4::loopback(), port),
                          [self = shared_from_this()](const error_code& error) {
                            if (error) return self->close();
                            self->pump(self->outside_, self->inside_, self->inwards_);
                            self->pump(self->inside_, self->outside_, self->outwards_);
                          });
  }
  void close() {
    error_code ignored;
    outside_.lowest_layer().close(ignored);
    inside_.close(ignored);
  }

 private:
  using Buffer = std::array<char, 64 << 10>;

  template <class From, class To>
  void pump(From& from, To& to, Buffer& buffer) {
    from.async_read_some(asio::buffer(buffer), [self = shared_from_this(), &from, &to, &buffer](
                                                   const error_code& error, std::size_t bytes) {
      if (error) return self->close();
      asio::async_write(to, asio::buffer(buffer.data(), bytes),
                        [self, &from, &to, &buffer](const error_code& write_error, std::size_t) {
                          if (write_error) return self->close();
                          self->pump(from, to, buffer);
                        });
    });
  }

  ssl::context context_;
  ssl::stream<Tcp::socket> outside_;
  Tcp::socket inside_;
  Buffer inwards_;
  Buffer outwards_;
};

TlsTerminator::TlsTerminator(asio::io_context& io, std::function<std::uint16_t()> gateway_port,
                             Identity identity)
    : io_(io),
      gateway_port_(std::move(gateway_port)),
      acceptor_(io, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
      port_(acceptor_.local_endpoint().port()),
      identity_(std::move(identity)) {
  accept();
}

TlsTerminator::~TlsTerminator() { cut(); }

void TlsTerminator::cut() {
  for (const auto& passage : passages_) {
    if (const auto open = passage.lock()) open->close();
  }
  passages_.clear();
}

void TlsTerminator::accept() {
  acceptor_.async_accept([this](const error_code& error, Tcp::socket socket) {
    if (error) return;
    const auto passage = std::make_shared<Passage>(io_, std::move(socket),
                                                   context_of(identity_, clients_authority_));
    passages_.push_back(passage);
    passage->secure([this, open = std::weak_ptr(passage)](const std::string& name) {
      asked_names_.push_back(name);
      if (const auto held = open.lock()) held->join(gateway_port_());
    });
    accept();
  });
}

}  // namespace mpr::test
