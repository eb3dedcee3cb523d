/* Lists of draws; see draw.h. */
#include "base/draw.h"

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
