/* Completion of command lines for bash and zsh, from the tables of commands and options. */
#include "cli/tables.h"

#include "kernel/kernel.h"

#include <stdio.h>
#include <string.h>

/* Begins a word of a list. */
static void add(const char *before, const char *word, const char *after)
{
    printf("%s%s%s", before, word, after);
}

/* Values that an option can have, as far as they are known: its words, or names that others know. before: stands before
 * each; colon: between a word and its number. */
static void put_values(const trm_option *option, const char *before, const char *colon)
{
    if (option->words != NULL)
        for (int i = 0; i < option->words->count; i++) {
            const trm_word *word = trm_word_at(option->words, i);
            if (!word->derived)
                add(before, word->name, word->number != NULL && word->usual <= 0.0 ? colon : "");
        }
    else if (strcmp(option->name, "kernel") == 0) {
        add(before, "auto", "");
        for (int i = 0; trm_kernel_at(i) != NULL; i++)
            add(before, trm_kernel_at(i)->name, "");
    } else if (strcmp(option->name, "compat") == 0)
        add(before, trm_preset_names(), "");
}

static bool has_values(const trm_option *option)
{
    return option->words != NULL || strcmp(option->name, "kernel") == 0 ||
           strcmp(option->name, "compat") == 0;
}

static bool is_file(const trm_option *option)
{
    return strstr(option->value, "FILE") != NULL;
}

/* ---- bash ---- */

static void put_bash_values(const trm_command *command)
{
    for (trm_walk walk = trm_command_walk(command); trm_walk_next(&walk);) {
        const trm_option *option = walk.option;
        if (option->name == NULL || !trm_option_takes_value(option) || is_file(option))
            continue;
        printf("    %s:--%s", command->name, option->name);
        if (option->letter != '\0')
            printf(" | %s:-%c", command->name, option->letter);
        printf(") words='");
        put_values(option, " ", ":");
        printf("' files='' ;;\n");
    }
}

static void put_bash_options(const trm_command *command)
{
    printf("        %s) words='--help", command->name);
    for (trm_walk walk = trm_command_walk(command); trm_walk_next(&walk);)
        if (walk.option->name != NULL)
            printf(" --%s", walk.option->name);
    printf("' ;;\n");
}

static void put_bash(void)
{
    fputs("# bash completion for trimine, made by: trimine options --completion bash\n"
          "# The program is looked for in the line, so it may be behind mpirun or srun:\n"
          "#     complete -o default -F _trimine mpirun srun\n"
          "_trimine()\n"
          "{\n"
          "    local current=${COMP_WORDS[COMP_CWORD]} option=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local at before='' words='' files=yes\n"
          "    COMPREPLY=()\n"
          "    for ((at = 0; at < COMP_CWORD; at++)); do\n"
          "        [[ ${COMP_WORDS[at]##*/} != trimine ]] || break\n"
          "    done\n"
          "    ((at < COMP_CWORD)) || return 0\n"
          "    local command=${COMP_WORDS[at + 1]}\n"
          "    if [[ $current == --*=* ]]; then # where = parts no words\n"
          "        option=${current%%=*} before=${current%%=*}= current=${current#*=}\n"
          "    elif [[ $current == '=' ]]; then\n"
          "        current=''\n"
          "    elif [[ $option == '=' ]]; then\n"
          "        option=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    fi\n"
          "    if ((COMP_CWORD == at + 1)) || [[ $command == help ]]; then\n"
          "        command='' files='' words='help --help --version",
          stdout);
    for (int i = 0; trm_commands[i] != NULL; i++)
        printf(" %s", trm_commands[i]->name);
    fputs("'\n"
          "    fi\n"
          "    case $command:$option in\n"
          "    :*) ;;\n",
          stdout);
    for (int i = 0; trm_commands[i] != NULL; i++)
        put_bash_values(trm_commands[i]);
    fputs("    *)\n"
          "        [[ $current == -* ]] || return 0 # a file\n"
          "        files=''\n"
          "        case $command in\n",
          stdout);
    for (int i = 0; trm_commands[i] != NULL; i++)
        put_bash_options(trm_commands[i]);
    fputs("        esac\n"
          "        ;;\n"
          "    esac\n"
          "    mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$words\" -- \"$current\")\n"
          "    [[ -n $files ]] || compopt +o default 2>/dev/null\n"
          "    [[ ${COMPREPLY[*]} != *: ]] || compopt -o nospace 2>/dev/null # a number comes\n"
          "    return 0\n"
          "}\n"
          "complete -o default -F _trimine trimine\n",
          stdout);
}

/* ---- zsh ---- */

/* Text inside a specification of _arguments or _describe, which is inside single quotes. */
static void put_zsh_text(const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\'')
            fputs("'\\'", stdout);
        else if (strchr("[]:\\", *at) != NULL)
            putchar('\\');
        putchar(*at);
    }
}

static void put_zsh_option(const trm_option *option)
{
    const bool value = trm_option_takes_value(option);
    const bool again = trm_option_repeats(option) || option->kind == TRM_OPTION_COUNT;
    if (option->letter != '\0') {
        printf("        ");
        printf(again ? "'*'" : "'(-%c --%s)'", option->letter, option->name);
        printf("{-%c%s,--%s%s}'", option->letter, value ? "+" : "", option->name, value ? "=" : "");
    } else
        printf("        '%s--%s%s", again ? "*" : "", option->name, value ? "=" : "");
    putchar('[');
    put_zsh_text(option->about != NULL ? option->about : option->name);
    putchar(']');
    if (value) {
        putchar(':');
        put_zsh_text(option->value);
        putchar(':');
        if (is_file(option))
            fputs("_files", stdout);
        else {
            const bool known = has_values(option);
            fputs(known ? "(" : " ", stdout);
            put_values(option, " ", "\\:");
            fputs(known ? ")" : "", stdout);
        }
    }
    fputs("' \\\n", stdout);
}

static void put_zsh(void)
{
    fputs("#compdef trimine\n"
          "# zsh completion for trimine, made by: trimine options --completion zsh\n"
          "_trimine() {\n"
          "    local curcontext=\"$curcontext\" state line\n"
          "    local -a commands\n"
          "    commands=(\n",
          stdout);
    for (int i = 0; trm_commands[i] != NULL; i++) {
        printf("        '%s:", trm_commands[i]->name);
        put_zsh_text(trm_commands[i]->about);
        fputs("'\n", stdout);
    }
    fputs("        'help:Says what there is, or what a command takes.'\n"
          "    )\n"
          "    _arguments -C '1: :->command' '*:: :->rest'\n"
          "    case $state in\n"
          "    command) _describe -t commands command commands ;;\n"
          "    rest)\n"
          "        case $line[1] in\n"
          "        help) _describe -t commands command commands ;;\n",
          stdout);
    for (int i = 0; trm_commands[i] != NULL; i++) {
        printf("        %s) _arguments -s -S %s\\\n", trm_commands[i]->name,
               trm_commands[i]->arguments[0] != '\0' ? "'*:file:_files' " : "");
        for (trm_walk walk = trm_command_walk(trm_commands[i]); trm_walk_next(&walk);)
            if (walk.option->name != NULL)
                put_zsh_option(walk.option);
        fputs("        '--help[say what it takes]' ;;\n", stdout);
    }
    fputs("        esac\n"
          "        ;;\n"
          "    esac\n"
          "}\n"
          "_trimine \"$@\"\n",
          stdout);
}

void trm_completion_print(const char *shell)
{
    if (strcmp(shell, "zsh") == 0)
        put_zsh();
    else
        put_bash();
}
