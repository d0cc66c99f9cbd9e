/** Scripts that teach a shell to complete; all of them ask `hutch __complete` what may come next. */

const bash = `# bash completion for hutch
_hutch() {
  local line words cur prefix answer
  line=\${COMP_LINE:0:COMP_POINT}
  read -ra words <<< "$line"
  cur=
  [[ $line == *[[:space:]] ]] && words+=("") || cur=\${words[-1]}
  COMPREPLY=()
  answer=$(hutch __complete "\${words[@]:1}" 2>/dev/null) || return 0
  # bash takes ":" and "=" for ends of words: what stands before the last one is there already.
  prefix=
  [[ $cur == *[:=]* ]] && prefix=\${cur%"\${cur##*[:=]}"}
  local IFS=$'\\n' item
  for item in $answer; do
    item=\${item%%$'\\t'*}
    if [[ $item == ":files" ]]; then
      compopt -o default 2>/dev/null
    else
      [[ $item == *= ]] && compopt -o nospace 2>/dev/null
      COMPREPLY+=("\${item#"$prefix"}")
    fi
  done
}
complete -F _hutch hutch
`;

const zsh = `#compdef hutch
_hutch() {
  local -a found open
  local line text meaning item
  for line in "\${(@f)$(hutch __complete "\${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    text=\${line%%$'\\t'*}
    meaning=\${line#*$'\\t'}
    if [[ $text == ":files" ]]; then
      _files
    elif [[ -n $text ]]; then
      item="\${text//:/\\\\:}:$meaning"
      # A flag that ends in "=" waits for its value: no blank behind it.
      [[ $text == *= ]] && open+=("$item") || found+=("$item")
    fi
  done
  _describe hutch found -- open -S ''
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _hutch "$@"
else
  compdef _hutch hutch
fi
`;

const fish = `# fish completion for hutch
function __hutch_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in (hutch __complete $words[2..] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo $line
        end
    end
end
complete -c hutch -f -a '(__hutch_complete)'
`;

export const completionScripts = { bash, zsh, fish } as const;

export type Shell = keyof typeof completionScripts;

export function isShell(text: string | undefined): text is Shell {
  return text !== undefined && Object.hasOwn(completionScripts, text);
}
