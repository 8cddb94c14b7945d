#pragma once

#include <boost/asio/awaitable.hpp>
#include <string_view>
#include <vector>

#include "api/visit.h"

namespace sallyport::api {

/// Who may come. Whatever it is, a request with a cookie that changes something has to come from
/// this gateway's own pages (Origin or Sec-Fetch-Site), and under /api/ carry `X-Sallyport: 1`.
enum class Needs : uint8_t {
  nobody,  // anybody: the login itself, back-channel logout, assets
  caller,  // a cookie or a bearer token; 401 as problem+json without
  person,  // a page: a browser's cookie; without one the browser is sent to the login and back
};

/// A coroutine of its own per request; `visit` is valid until it ends. Free functions: what they
/// need is in visit.parts.
using Handler = boost::asio::awaitable<Reply> (*)(Visit& visit);

/// To add endpoints: write a file with handlers and one `void AddX(Router&)`, declare it in
/// endpoints.h and call it in MakeRouter. To add a page: the same with Needs::person and Page();
/// what it loads goes into web/ (every .css, .js and .svg there is embedded, and served as
/// /assets/<name>). A JSON body is read with ReadJson, faults are answered with Problem().
struct Route {
  std::string_view method;
  std::string_view path;  // "/api/v1/sessions/:id"; static lifetime
  Needs needs = Needs::caller;
  Handler handler = nullptr;
  bool works = false;    // what a person does here keeps the session from being idle
  bool limited = false;  // changes something, and may be asked for in a session with limits too
  bool foreign = false;  // a form of another site may be sent here: nothing rests on who asks
  bool web = false;      // pages of listed origins may ask too: no browser's cookie counts here
};

/// Finds the handler of a request. Filled once, then immutable.
class Router {
 public:
  void Add(Route route) { routes_.push_back(route); }

  struct Match {
    const Route* route = nullptr;  // null: `known` says whether another method would have one
    bool known = false;
    std::vector<std::pair<std::string_view, std::string>> params;
  };
  Match Find(std::string_view method, std::string_view path) const;

 private:
  std::vector<Route> routes_;
};

}  // namespace sallyport::api
