// The product gets asio's compiled half from net/, which this folder does not link; its test brings
// its own.
#include <boost/asio/impl/src.hpp>
