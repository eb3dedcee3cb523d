/* Walking tables of options; see walk.h. */
#include "options/walk.h"

#include <string.h>

trm_walk trm_walk_of(const trm_takes *takes)
{
    return (trm_walk){.part = {takes, NULL}};
}

bool trm_walk_next(trm_walk *walk)
{
    for (; walk->which < 2 && walk->part[walk->which] != NULL; walk->which++, walk->table = 0) {
        const trm_takes *takes = walk->part[walk->which];
        for (; walk->table < takes->tables; walk->table++, walk->row = 0) {
            const trm_taken *taken = &takes->taken[walk->table];
            if (walk->row == taken->options->count)
                continue;
            walk->options = taken->options;
            walk->option = &taken->options->option[walk->row++];
            walk->at = taken->at;
            walk->number = walk->next++;
            return true;
        }
    }
    return false;
}

bool trm_walk_find_part(trm_walk *walk, const char *name, size_t length, char letter)
{
    while (trm_walk_next(walk)) {
        const trm_option *option = walk->option;
        if (option->name == NULL)
            continue;
        if (name == NULL ? option->letter == letter
                         : strncmp(option->name, name, length) == 0 && option->name[length] == '\0')
            return true;
    }
    return false;
}

bool trm_walk_find(trm_walk *walk, const char *name)
{
    return trm_walk_find_part(walk, name, strlen(name), '\0');
}
