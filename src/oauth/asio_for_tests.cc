// Boost.Asio is compiled once, in net/, which this folder does not see: the tests bring their own
// copy.
#include <boost/asio/impl/src.hpp>
