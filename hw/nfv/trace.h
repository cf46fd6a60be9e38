#include "trace/trace-hw_nfv.h"
