/* internal.h: the rows, one a file.
 * Constant; any thread. */
#ifndef SL_FAMILIES_INTERNAL_H
#define SL_FAMILIES_INTERNAL_H

#include "families/family.h"
#include "families/list.h"

#define X(name) extern const sl_family sl__family_##name;
SL_FAMILY_LIST(X)
#undef X

#endif
