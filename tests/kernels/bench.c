#include "check.h"
int bench(const sl_kernel_table *t, int s){(void)t;(void)s;return 0;}
