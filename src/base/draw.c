/* Lists of draws; see draw.h. */
#include "base/draw.h"

int trm_draw_compare(const void *a, const void *b)
{
    const trm_draw *x = a, *y = b;
    return trm_draw_less(*x, *y) ? -1 : trm_draw_less(*y, *x);
}

bool trm_draw_insert(trm_draw *list, int64_t length, trm_draw draw)
{
    int64_t at = length;
    while (at > 0 && trm_draw_less(draw, list[at - 1]))
        at--;
    if (at == length || (at > 0 && list[at - 1].id == draw.id && list[at - 1].key == draw.key))
        return false;
    for (int64_t i = length - 1; i > at; i--)
        list[i] = list[i - 1];
    list[at] = draw;
    return true;
}
