import { render } from 'preact'

render(<main>decant</main>, document.getElementById('page')!)
