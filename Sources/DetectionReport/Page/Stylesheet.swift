/// The page's style, and the policy that allows it and nothing else.
package enum Stylesheet {
  /// The SHA-256 digest of ``html`` in Base64. If the style changes, a test fails and prints the new value.
  package static let digest = "D4Bkgl+2kc2iF5qW/DyFlK+7L3IefePZ7zVS5J+AuoM="

  /// The page's Content-Security-Policy: no scripts, no images, no connections, no other style, no frames, no forms.
  static let policy =
    "default-src 'none'; style-src 'sha256-\(digest)'; base-uri 'none'; form-action 'none'"

  package static let html: HTML = """
    :root{color-scheme:light dark;--page:#f5f6f8;--card:#fff;--ink:#17212b;--soft:#51606e;--line:#dfe4e9;--strong-line:#b9c3cc;\
    --value:#2f6fb5;--value-soft:#a9c8ea;--alarm:#b3261e;--alarm-soft:#fbe9e7;--bound:#17212b;--focus:#0b57d0;--good:#1d6b3a;--good-soft:#e3f3e8}
    @media (prefers-color-scheme:dark){:root{--page:#10151a;--card:#182027;--ink:#e8edf2;--soft:#a5b3c0;--line:#2b3640;--strong-line:#4a5864;\
    --value:#7db4ee;--value-soft:#2f5580;--alarm:#ff8e80;--alarm-soft:#47211d;--bound:#e8edf2;--focus:#a8c7fa;--good:#83d6a0;--good-soft:#173323}}
    *{box-sizing:border-box}
    html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
    body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif;\
    overflow-wrap:anywhere}
    header,main,footer{max-width:1120px;margin:0 auto;padding:0 20px}
    header{padding-top:40px}
    footer{padding-bottom:40px;color:var(--soft);font-size:14px}
    h1,h2,h3,h4{line-height:1.25;text-wrap:balance;margin:0}
    h1{font-size:clamp(26px,5vw,38px);letter-spacing:-.02em}
    h2{font-size:24px;letter-spacing:-.01em;margin-bottom:8px}
    h3{font-size:18px;margin:28px 0 8px}
    h4{font-size:15px;margin:28px 0 4px}
    p,ul{margin:0 0 12px}
    a{color:var(--focus)}
    :focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:3px}
    .skip{position:absolute;left:-999px}
    .skip:focus{left:12px;top:12px;z-index:1;background:var(--card);padding:8px 12px}
    .kicker{margin:0 0 4px;color:var(--soft);font-size:14px;font-weight:600}
    .lead{color:var(--soft);margin:8px 0 16px}
    nav ul{display:flex;flex-wrap:wrap;gap:4px 20px;list-style:none;padding:0;margin:0 0 28px;font-size:15px}
    section{margin-bottom:56px}
    section>p{max-width:76ch;color:var(--soft)}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0}
    .tiles div{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px}
    dt{font-size:14px;font-weight:600}
    dd{margin:0}
    dd b{display:block;font-size:30px;line-height:1.2;font-weight:650;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
    dd span{color:var(--soft);font-size:13px}
    figure{margin:16px 0 0;min-width:0}
    section>figure,section>.table,.card{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:18px 20px}
    .card{margin:20px 0 0;padding-bottom:24px}
    .card h3{margin:0;font-size:20px;display:flex;flex-wrap:wrap;align-items:center;gap:4px 10px}
    .rank{color:var(--soft);font-weight:500;font-variant-numeric:tabular-nums}
    .badge{font-size:13px;font-weight:600;padding:2px 10px;border-radius:99px;background:var(--alarm-soft);color:var(--alarm);border:1px solid}
    .badge.ok{background:var(--good-soft);color:var(--good)}
    .facts{color:var(--soft);margin:4px 0 0;font-size:14px}
    .good{color:var(--good)}
    .more{color:var(--soft);font-size:14px;margin-top:6px}
    .grid-2{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:0 40px}
    figcaption{font-size:14px;line-height:1.4;color:var(--soft);margin-bottom:10px}
    figcaption b{color:var(--ink);margin-right:4px}
    figure>svg{display:block;overflow:visible}
    .values{padding-left:68px}
    .values figcaption,.values details{margin-left:-68px}
    section>.values{padding-left:88px}
    .names{padding-left:136px}
    .names figcaption,.names details{margin-left:-136px}
    text{font-size:12px;fill:var(--ink)}
    .tick,.note{fill:var(--soft);font-variant-numeric:tabular-nums}
    .day,.strong{font-weight:650;fill:var(--ink)}
    .m{text-anchor:middle}
    .e{text-anchor:end}
    .label,.note,.bound-label{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
    .grid{stroke:var(--line);shape-rendering:crispEdges}
    .base{stroke:var(--strong-line);shape-rendering:crispEdges}
    .area{fill:var(--value-soft);stroke:var(--value);stroke-width:1px}
    path{vector-effect:non-scaling-stroke}
    .over,.alarm{fill:var(--alarm)}
    .present{fill:var(--value)}
    .out{fill:url(#hatch);stroke:var(--alarm);stroke-width:1px}
    .hatch-ground{fill:var(--alarm-soft)}
    .hatch-line{fill:var(--alarm)}
    .bound{stroke:var(--bound);stroke-width:1.5px;stroke-dasharray:6 4}
    .bound-label{font-weight:600}
    .legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:14px;color:var(--ink);max-width:none}
    .key{display:inline-block;width:18px;height:11px;margin-right:7px;vertical-align:-1px}
    .key.value{background:var(--value-soft);border:1px solid var(--value)}
    .key.over{background:var(--alarm)}
    .key.bound{height:0;border-top:2px dashed var(--bound);vertical-align:4px}
    .key.alarm{height:6px;background:var(--alarm);vertical-align:2px}
    .key.out{background:repeating-linear-gradient(45deg,var(--alarm) 0 2.5px,var(--alarm-soft) 2.5px 5px);outline:1px solid var(--alarm);outline-offset:-1px}
    details{margin-top:6px;font-size:13px}
    summary{cursor:pointer;color:var(--soft);width:fit-content;max-width:100%}
    .table{max-width:100%;overflow-x:auto}
    table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
    details table{font-size:13px;margin-top:4px}
    caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
    th,td{padding:6px 8px;text-align:right;vertical-align:top;border-bottom:1px solid var(--line)}
    thead th{overflow-wrap:normal;color:var(--soft);font-weight:600;vertical-align:bottom}
    th:first-child,.text{text-align:left}
    th:first-child{padding-left:0}
    tbody th{font-weight:600}
    tbody tr:last-child>*{border-bottom:0}
    small{display:block;color:var(--soft);font-weight:400;font-size:13px}
    .strip{display:block;width:120px;height:12px;margin:5px 0 0 auto;background:linear-gradient(var(--line),var(--line)) center/100% 1px no-repeat}
    .strip path{stroke:var(--alarm);stroke-width:2;vector-effect:none}
    @media (max-width:640px){.tiles{grid-template-columns:1fr 1fr}header,main,footer{padding-left:14px;padding-right:14px}
    section>figure,section>.table,.card{padding:14px}section>.values{padding-left:68px}section>.values figcaption,section>.values details{margin-left:-54px}
    .values{padding-left:58px}.values figcaption,.values details{margin-left:-58px}
    .names{padding-left:124px}.names figcaption,.names details{margin-left:-124px}
    table{font-size:13px}th,td{padding:5px 4px}.strip{width:56px}
    .things :is(th,td):is(:nth-child(7),:nth-child(8)){display:none}}
    @media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
    @media print{:root{--page:#fff;--card:#fff}body{font-size:11pt}nav,.skip{display:none}figure,tr,.tiles div{break-inside:avoid}h2,h3,h4{break-after:avoid}\
    details{display:none}*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
    """
}
