// SPDX-License-Identifier: MIT
#include "support/service.hpp"

#include "support/patience.hpp"

#include <idempo/layers/idempotency.hpp>
#include <idempo/layers/middleware.hpp>
#include <idempo/stores/any_store.hpp>
#include <idempo/stores/blocking.hpp>
#include <idempo/stores/offload.hpp>

#include <boost/asio/append.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace idempo::tests {

class service::endpoint {
public:
    endpoint() = default;
    endpoint(endpoint const&) = delete;
    endpoint& operator=(endpoint const&) = delete;
    virtual ~endpoint() = default;
    virtual void start(text_request request, std::shared_ptr<std::promise<text_response>> answer) = 0;
    [[nodiscard]] virtual bool drain(std::chrono::milliseconds timeout) const = 0;
};

namespace {

using pool_executor = asio::thread_pool::executor_type;
using answer_promise = std::shared_ptr<std::promise<text_response>>;

struct plain_handler {
    text_response operator()(text_request&& request, execution& execution) const {
        return function(request, execution);
    }
    handler_function function;
};

/// Throws when called, and completes later.
struct callback_handler {
    template <class Token>
    auto operator()(text_request request, execution& execution, Token&& token) const {
        auto response = function(request, execution);
        return asio::async_initiate<Token, void(http::message_generator)>(
            [](auto handler, text_response made) {
                auto const executor = asio::get_associated_executor(handler);
                asio::post(executor, asio::append(std::move(handler), http::message_generator(std::move(made))));
            },
            token, std::move(response));
    }
    handler_function function;
};

/// Suspends before and after its effect.
struct awaitable_handler {
    asio::awaitable<text_response> operator()(text_request request, execution& execution) const {
        co_await asio::post(asio::use_awaitable);
        auto response = function(request, execution);
        co_await asio::post(asio::use_awaitable);
        co_return response;
    }
    handler_function function;
};

struct plain_steps {
    text_response operator()(text_request&&, execution& execution) const {
        std::vector<std::string> results;
        for (auto const& each : script.steps) {
            results.push_back(
                execution.step(each.label, [&](std::string const& key) { return each.make(key, execution); }));
        }
        return script.answer(execution, results);
    }
    step_script script;
};

/// Answers each step later, and goes on with the next.
struct callback_steps {
    template <class Token>
    auto operator()(text_request, execution& execution, Token&& token) const {
        return asio::async_initiate<Token, void(http::message_generator)>(
            [](auto handler, step_script all, idempo::execution* of) {
                using running = run<decltype(handler)>;
                go_on(std::make_shared<running>(std::move(handler), std::move(all), of));
            },
            token, script, &execution);
    }

    template <class Handler>
    struct run {
        run(Handler handler, step_script all, idempo::execution* of)
            : done(std::move(handler)),
              script(std::move(all)),
              execution(of) {}
        Handler done;
        step_script script;
        idempo::execution* execution;
        std::vector<std::string> results{};
    };

    template <class Handler>
    static void go_on(std::shared_ptr<run<Handler>> const& running) {
        auto const executor = asio::get_associated_executor(running->done);
        if (running->results.size() == running->script.steps.size()) {
            try {
                auto response = running->script.answer(*running->execution, running->results);
                return asio::post(executor,
                                  asio::append(std::move(running->done), http::message_generator(std::move(response))));
            } catch (...) {
                return asio::post(executor, asio::append(std::move(running->done), std::current_exception()));
            }
        }
        auto const& next = running->script.steps[running->results.size()];
        auto make = [executor, running, &next](std::string key, auto made) {
            asio::post(executor, [running, &next, key = std::move(key), made = std::move(made)]() mutable {
                try {
                    made(nullptr, next.make(key, *running->execution));
                } catch (...) {
                    made(std::current_exception(), {});
                }
            });
        };
        auto ended = [running, executor](std::exception_ptr const& exception, std::string result) {
            if (exception) return asio::post(executor, asio::append(std::move(running->done), exception));
            running->results.push_back(std::move(result));
            go_on(running);
        };
        running->execution->async_step(next.label, std::move(make), asio::bind_executor(executor, std::move(ended)));
    }

    step_script script;
};

struct awaitable_steps {
    asio::awaitable<text_response> operator()(text_request, execution& execution) const {
        std::vector<std::string> results;
        for (auto const& each : script.steps) {
            auto const make = [&each, &execution](std::string key) -> asio::awaitable<std::string> {
                co_await asio::post(asio::use_awaitable);
                auto result = each.make(key, execution);
                co_await asio::post(asio::use_awaitable);
                co_return result;
            };
            auto result = co_await execution.step(each.label, make);
            results.push_back(std::move(result));
        }
        co_return script.answer(execution, results);
    }
    step_script script;
};

template <class Middleware>
class plain_endpoint final : public service::endpoint {
public:
    plain_endpoint(Middleware middleware, pool_executor executor)
        : middleware_(std::move(middleware)),
          executor_(executor) {}

    void start(text_request request, answer_promise answer) override {
        asio::post(executor_, [middleware = middleware_, request = std::move(request), answer]() mutable {
            try {
                answer->set_value(middleware(std::move(request)));
            } catch (...) {
                answer->set_exception(std::current_exception());
            }
        });
    }
    bool drain(std::chrono::milliseconds timeout) const override { return middleware_.drain(timeout); }

private:
    Middleware middleware_;
    pool_executor executor_;
};

template <class Middleware>
class callback_endpoint final : public service::endpoint {
public:
    callback_endpoint(Middleware middleware, pool_executor executor)
        : middleware_(std::move(middleware)),
          executor_(executor) {}

    void start(text_request request, answer_promise answer) override {
        asio::post(executor_, [executor = executor_, middleware = middleware_, request = std::move(request),
                               answer]() mutable {
            auto done = [answer](http::message_generator message) { answer->set_value(read(std::move(message))); };
            try {
                middleware(std::move(request), asio::bind_executor(executor, std::move(done)));
            } catch (...) {
                answer->set_exception(std::current_exception());
            }
        });
    }
    bool drain(std::chrono::milliseconds timeout) const override { return middleware_.drain(timeout); }

private:
    Middleware middleware_;
    pool_executor executor_;
};

template <class Middleware>
class awaitable_endpoint final : public service::endpoint {
public:
    awaitable_endpoint(Middleware middleware, pool_executor executor)
        : middleware_(std::move(middleware)),
          executor_(executor) {}

    void start(text_request request, answer_promise answer) override {
        asio::co_spawn(executor_, serve(middleware_, std::move(request), answer), asio::detached);
    }
    bool drain(std::chrono::milliseconds timeout) const override { return middleware_.drain(timeout); }

private:
    static asio::awaitable<void> serve(Middleware middleware, text_request request, answer_promise answer) {
        try {
            answer->set_value(read(co_await middleware(std::move(request), asio::use_awaitable)));
        } catch (...) {
            answer->set_exception(std::current_exception());
        }
    }

    Middleware middleware_;
    pool_executor executor_;
};

/// The parts of an endpoint.
struct parts {
    setup how;
    idempo::options options;
    handler_function handler;
    std::optional<step_script> script;
    memory_store records;
    fault_plan faults;
    pool_executor threads;
    pool_executor store_threads;
};

template <template <class> class Endpoint, class Handler, class Store>
std::unique_ptr<service::endpoint> wrap(parts& from, Store store, Handler handler) {
    using wrapped = middleware<Handler, Store>;
    wrapped made(std::move(handler), std::move(store), std::move(from.options));
    return std::make_unique<Endpoint<wrapped>>(std::move(made), from.threads);
}

template <class Store>
std::unique_ptr<service::endpoint> make_of_steps(parts& from, Store store) {
    switch (from.how.style) {
    case style::plain_with_token: return wrap<callback_endpoint>(from, std::move(store), plain_steps{*from.script});
    case style::callback:
        return wrap<callback_endpoint>(from, std::move(store), async_handler(callback_steps{*from.script}));
    case style::awaitable: return wrap<awaitable_endpoint>(from, std::move(store), awaitable_steps{*from.script});
    case style::plain: break;
    }
    throw std::logic_error("not a style with a token");
}

template <class Store>
std::unique_ptr<service::endpoint> make_plain(parts& from, Store store) {
    if (from.script) return wrap<plain_endpoint>(from, std::move(store), plain_steps{*from.script});
    return wrap<plain_endpoint>(from, std::move(store), plain_handler{from.handler});
}

template <class Store>
std::unique_ptr<service::endpoint> make_with_token(parts& from, Store store) {
    if (from.script) return make_of_steps(from, std::move(store));
    switch (from.how.style) {
    case style::plain_with_token:
        return wrap<callback_endpoint>(from, std::move(store), plain_handler{std::move(from.handler)});
    case style::callback:
        return wrap<callback_endpoint>(from, std::move(store),
                                       async_handler(callback_handler{std::move(from.handler)}));
    case style::awaitable:
        return wrap<awaitable_endpoint>(from, std::move(store), awaitable_handler{std::move(from.handler)});
    case style::plain: break;
    }
    throw std::logic_error("not a style with a token");
}

std::unique_ptr<service::endpoint> make_endpoint(parts from) {
    fault_store<true> const direct(from.records, from.faults);
    fault_store<> const leased(from.records, from.faults);
    auto const offloaded = [&] { return offload(leased, from.store_threads); };
    auto const erased = [&] {
        return from.how.store == store_kind::erased ? any_store(direct, from.threads) : any_store(offloaded());
    };
    bool const is_plain = from.how.style == style::plain;
    switch (from.how.store) {
    case store_kind::direct: return is_plain ? make_plain(from, direct) : make_with_token(from, direct);
    case store_kind::leased: return is_plain ? make_plain(from, leased) : make_with_token(from, offloaded());
    case store_kind::erased:
    case store_kind::erased_leased: break;
    }
    return is_plain ? make_plain(from, blocking(erased())) : make_with_token(from, erased());
}

constexpr style all_styles[] = {style::plain, style::plain_with_token, style::callback, style::awaitable};
constexpr store_kind all_stores[] = {store_kind::direct, store_kind::leased, store_kind::erased,
                                     store_kind::erased_leased};

std::string_view name_of(style which) {
    switch (which) {
    case style::plain: return "plain";
    case style::plain_with_token: return "plain with token";
    case style::callback: return "callback";
    case style::awaitable: return "awaitable";
    }
    return "?";
}

std::string_view name_of(store_kind which) {
    switch (which) {
    case store_kind::direct: return "direct store";
    case store_kind::leased: return "leased store";
    case store_kind::erased: return "erased store";
    case store_kind::erased_leased: return "erased leased store";
    }
    return "?";
}

memory_store store_on(manual_clock const& clock) {
    memory_store_options options;
    options.clock = clock;
    return memory_store(std::move(options));
}

}  // namespace

std::ostream& operator<<(std::ostream& out, setup const& setup) {
    return out << name_of(setup.style) << ", " << name_of(setup.store);
}

std::vector<setup> every_setup() {
    std::vector<setup> setups;
    for (auto const style : all_styles) {
        for (auto const store : all_stores) setups.push_back({style, store});
    }
    return setups;
}

std::vector<setup> every_leased_setup() {
    auto setups = every_setup();
    std::erase_if(setups,
                  [](setup const& how) { return how.store == store_kind::direct || how.store == store_kind::erased; });
    return setups;
}

std::vector<setup> every_step_setup() {
    auto setups = every_setup();
    std::erase_if(setups, [](setup const& how) {
        bool const is_leased = how.store == store_kind::leased || how.store == store_kind::erased_leased;
        return how.style == style::plain_with_token && is_leased;
    });
    return setups;
}

std::vector<setup> every_leased_step_setup() {
    auto setups = every_leased_setup();
    std::erase_if(setups, [](setup const& how) { return how.style == style::plain_with_token; });
    return setups;
}

std::vector<setup> every_style() {
    std::vector<setup> setups;
    for (auto const style : all_styles) setups.push_back({style, store_kind::direct});
    return setups;
}

service::service(setup how, options options, handler_function handler)
    : records_(store_on(clock_)),
      endpoint_(make_endpoint({how,
                               observed(std::move(options)),
                               std::move(handler),
                               {},
                               records_,
                               faults_,
                               threads_.get_executor(),
                               store_threads_.get_executor()})) {}

service::service(setup how, options options, step_script script)
    : records_(store_on(clock_)),
      endpoint_(make_endpoint({how,
                               observed(std::move(options)),
                               {},
                               std::move(script),
                               records_,
                               faults_,
                               threads_.get_executor(),
                               store_threads_.get_executor()})) {}

service::~service() {
    threads_.join();
    store_threads_.join();
}

options service::observed(options options) {
    options.observer = [this, told = std::move(options.observer)](event const& event) {
        {
            std::lock_guard const lock(mutex_);
            events_.push_back(event);
        }
        if (told) told(event);
    };
    return options;
}

std::future<text_response> service::start(text_request request) {
    auto answer = std::make_shared<std::promise<text_response>>();
    auto pending = answer->get_future();
    endpoint_->start(std::move(request), std::move(answer));
    return pending;
}

text_response service::send(text_request request) { return answer_of(start(std::move(request))); }

bool service::drain(std::chrono::milliseconds timeout) const { return endpoint_->drain(timeout); }

int service::told(event_type type) const {
    std::lock_guard const lock(mutex_);
    auto const is_told = [type](event const& event) { return event.type == type; };
    return static_cast<int>(std::count_if(events_.begin(), events_.end(), is_told));
}

std::vector<event> service::events() const {
    std::lock_guard const lock(mutex_);
    return events_;
}

text_response answer_of(std::future<text_response> pending) {
    if (pending.wait_for(patience) != std::future_status::ready) throw std::runtime_error("no answer came");
    try {
        return pending.get();
    } catch (std::exception const&) {
        text_response response(http::status::internal_server_error, 11);
        response.reason("rethrown");
        return response;
    }
}

}  // namespace idempo::tests
