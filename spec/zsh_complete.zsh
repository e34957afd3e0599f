# What zsh types after a line and the tab key, by the completion of a file.
# usage: zsh -f spec/zsh_complete.zsh FILE LINE
zmodload zsh/zpty || exit 77
zpty z "zsh -f -i"
zpty -w z "PS1='%% '; autoload -Uz compinit; compinit -D -u; source ${(q)1}; echo rea''dy"
said=''
for i in {1..200}; do
  zpty -r -t z part && said+=$part || sleep 0.05
  [[ $said == *ready* ]] && break
done
zpty -n -w z "$2"$'\t'
said=''
for i in {1..200}; do
  zpty -r -t z part && said+=$part || sleep 0.05
  [[ $said == *"$3"* ]] && break
done
zpty -d z
print -r -- "$said"
