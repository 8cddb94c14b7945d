// Boost.Asio is compiled once, in net/, which stands above this folder: the tests bring their own
// copy.
#include <boost/asio/impl/src.hpp>
