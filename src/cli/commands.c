/* All commands; see cli.h. */
#include "cli/cli.h"

#include <string.h>

const trm_command *const trm_commands[] = {
    &trm_command_mine,   &trm_command_loss, &trm_command_knn,     &trm_command_eval,
    &trm_command_radius, &trm_command_show, &trm_command_verify,  &trm_command_export,
    &trm_command_report, &trm_command_plan, &trm_command_bench,   &trm_command_synth,
    &trm_command_import, &trm_command_info, &trm_command_options, NULL,
};

const trm_command *trm_command_find(const char *name)
{
    for (int i = 0; trm_commands[i] != NULL; i++)
        if (strcmp(trm_commands[i]->name, name) == 0)
            return trm_commands[i];
    return NULL;
}
